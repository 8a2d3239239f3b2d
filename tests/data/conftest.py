from pathlib import Path

import pytest

from bitnet.data import LocalCorpus
from tests.data.corpora import seven_subsets


@pytest.fixture(scope="package")
def seven(tmp_path_factory: pytest.TempPathFactory) -> LocalCorpus:
    return seven_subsets(tmp_path_factory.mktemp("seven"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder
