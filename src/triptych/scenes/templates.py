"""The wordings of questions. `{a}` is "a dog", `{the}` "the dog", `{many}` "dogs", `{at}` "at the top left"."""

from __future__ import annotations

EXISTENCE = (
    "Is there {a} in the picture?",
    "Can you see {a}?",
    "Does the picture show {a}?",
    "Do you see {a} anywhere?",
)

NAMING = (
    "What is {at}?",
    "What do you see {at}?",
    "What does the picture show {at}?",
    "Name the thing {at}.",
)

PLACE = (
    "Where is {the}?",
    "Where in the picture is {the}?",
    "At which place is {the}?",
    "Where do you see {the}?",
)

COUNTING = (
    "How many {many} are there?",
    "How many {many} do you see?",
    "How many {many} does the picture show?",
    "Count the {many}.",
)

TOTAL = (
    "How many objects are there in all?",
    "How many objects does the picture show in all?",
    "Count all the objects.",
)

COMPARISON = (
    "Are there {more} {many} than {others}?",
    "Do you see {more} {many} than {others}?",
    "Does the picture show {more} {many} than {others}?",
)

RELATION = (
    "Is {the} {relation} {other}?",
    "Do you see {the} {relation} {other}?",
    "Does the picture show {the} {relation} {other}?",
)

NEIGHBOUR = (
    "What is {relation} {the}?",
    "What do you see {relation} {the}?",
    "Which thing is {relation} {the}?",
)

RELATION_WORDS = {
    "left of": "to the left of",
    "right of": "to the right of",
    "above": "above",
    "below": "below",
}

CAPTION = (
    "Describe the picture.",
    "What is where in the picture?",
    "Say what the picture shows, and where.",
)

NAMES = (
    "What is in the picture?",
    "List what the picture shows.",
    "Name everything in the picture.",
)
