"""What the API takes and answers, as pydantic models, from which the OpenAPI description is generated.

Their docstrings and descriptions are part of it: text for users of the API.
"""

from __future__ import annotations

from web.api.schemas.answers import (
    FeedbackBody,
    FeedbackForm,
    LoggedFeedback,
    LoggedRecognition,
    LoggedRecognitions,
    RecognitionsQuery,
)
from web.api.schemas.changes import Change, Changes, ChangesQuery
from web.api.schemas.imports import (
    Import,
    ImportCounts,
    ImportErrors,
    ImportFault,
    ImportForm,
    ImportPieces,
    ImportProgress,
)
from web.api.schemas.problems import FeedbackGiven, FieldProblem, Problem, RefusedPhoto
from web.api.schemas.products import Added, CreateForm, FoundBarcode, LookAlike, Photo, PhotoWarning
from web.api.schemas.recognizing import (
    BatchAnswer,
    BatchAnswers,
    BatchBody,
    BatchForm,
    Difference,
    Differs,
    Evidence,
    LookedAt,
    Match,
    Recognition,
    RecognizeBody,
    RecognizeForm,
    RecognizeQuery,
    ShownPhoto,
    Timings,
)

__all__ = [
    "Added",
    "BatchAnswer",
    "BatchAnswers",
    "BatchBody",
    "BatchForm",
    "Change",
    "Changes",
    "ChangesQuery",
    "CreateForm",
    "Difference",
    "Differs",
    "Evidence",
    "FeedbackBody",
    "FeedbackForm",
    "FeedbackGiven",
    "FieldProblem",
    "FoundBarcode",
    "Import",
    "ImportCounts",
    "ImportErrors",
    "ImportFault",
    "ImportForm",
    "ImportPieces",
    "ImportProgress",
    "LoggedFeedback",
    "LoggedRecognition",
    "LoggedRecognitions",
    "LookAlike",
    "LookedAt",
    "Match",
    "Photo",
    "PhotoWarning",
    "Problem",
    "Recognition",
    "RecognitionsQuery",
    "RecognizeBody",
    "RecognizeForm",
    "RecognizeQuery",
    "RefusedPhoto",
    "ShownPhoto",
    "Timings",
]
