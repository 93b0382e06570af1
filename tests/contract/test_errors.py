"""Expected errors share one base class and one form of message."""

from genrewatch.contract.errors import BundleError, ConfigError, DataError, GenrewatchError, SourceError


def test_a_message_holds_place_finding_and_expectation() -> None:
    error = ConfigError("mqtt.port", "found 0", "1 to 65535")
    assert str(error) == "mqtt.port: found 0, expected 1 to 65535"
    assert (error.where, error.found, error.expected) == ("mqtt.port", "found 0", "1 to 65535")
    assert str(SourceError("mic", "not found")) == "mic: not found"


def test_one_except_clause_catches_all_expected_errors() -> None:
    assert all(issubclass(kind, GenrewatchError) for kind in (BundleError, ConfigError, DataError, SourceError))
