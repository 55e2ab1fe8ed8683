"""What the API takes and answers, as pydantic models, from which the OpenAPI description is generated.

Their docstrings and descriptions are part of it: text for users of the API. Named here are those that operations name.
"""

from __future__ import annotations

from web.api.schemas.answers import (
    FeedbackBody,
    FeedbackForm,
    LoggedRecognition,
    LoggedRecognitions,
    RecognitionsQuery,
)
from web.api.schemas.changes import Changes, ChangesQuery
from web.api.schemas.imports import (
    Import,
    ImportErrors,
    ImportForm,
    ImportPieces,
)
from web.api.schemas.offline import (
    OfflineAnswer,
    OfflineAnswers,
    OfflineAnswersTaken,
    OfflineBundleQuery,
)
from web.api.schemas.problems import Problem
from web.api.schemas.product_changes import (
    AddPhotosBody,
    AddPhotosForm,
    ChangeHeaders,
    CreateBody,
    CreateHeaders,
    PatchBody,
    ProductsQuery,
    PutBody,
    PutHeaders,
    ReadHeaders,
    RenameBody,
    ReplacePhotoForm,
    ReplacePhotoQuery,
)
from web.api.schemas.products import (
    Added,
    CreateForm,
    Deleted,
    Photo,
    PhotoList,
    Product,
    ProductList,
    StoredPhoto,
)
from web.api.schemas.recognizing import (
    BatchAnswers,
    BatchBody,
    BatchForm,
    Recognition,
    RecognizeBody,
    RecognizeForm,
    RecognizeQuery,
)

__all__ = [
    "AddPhotosBody",
    "AddPhotosForm",
    "Added",
    "BatchAnswers",
    "BatchBody",
    "BatchForm",
    "Change",
    "ChangeHeaders",
    "Changes",
    "ChangesQuery",
    "CreateBody",
    "CreateForm",
    "CreateHeaders",
    "Deleted",
    "FeedbackBody",
    "FeedbackForm",
    "Import",
    "ImportErrors",
    "ImportForm",
    "ImportPieces",
    "LoggedRecognition",
    "LoggedRecognitions",
    "OfflineAnswer",
    "OfflineAnswers",
    "OfflineAnswersTaken",
    "OfflineBundleQuery",
    "PatchBody",
    "Photo",
    "PhotoList",
    "Problem",
    "Product",
    "ProductList",
    "ProductsQuery",
    "PutBody",
    "PutHeaders",
    "ReadHeaders",
    "Recognition",
    "RecognitionsQuery",
    "RecognizeBody",
    "RecognizeForm",
    "RecognizeQuery",
    "RenameBody",
    "ReplacePhotoForm",
    "ReplacePhotoQuery",
    "StoredPhoto",
]
