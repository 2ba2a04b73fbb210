"""What a recipe costs before it runs: parameters, memory, FLOPs and hours."""

from triptych.planner.cost import CostPlan
from triptych.planner.devices import DEVICES, DeviceSpec
from triptych.planner.plan import plan
from triptych.planner.render import render

__all__ = ["DEVICES", "CostPlan", "DeviceSpec", "plan", "render"]
