"""What a recipe costs before it runs: parameters, memory, FLOPs and hours."""

from triptych.planner.devices import DEVICES, DeviceSpec
from triptych.planner.plan import CostPlan, plan
from triptych.planner.render import render

__all__ = ["DEVICES", "CostPlan", "DeviceSpec", "plan", "render"]
