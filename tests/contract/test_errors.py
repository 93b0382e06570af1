from genrewatch.contract.errors import BundleError, ConfigError, DataError, GenrewatchError, SourceError


def test_a_message_says_where_what_was_found_and_what_was_expected() -> None:
    error = ConfigError("mqtt.port", "found 0", "1 to 65535")
    assert str(error) == "mqtt.port: found 0, expected 1 to 65535"
    assert (error.where, error.found, error.expected) == ("mqtt.port", "found 0", "1 to 65535")
    assert str(SourceError("mic", "is not there")) == "mic: is not there"


def test_one_except_clause_catches_all_foreseen_errors() -> None:
    assert all(issubclass(kind, GenrewatchError) for kind in (BundleError, ConfigError, DataError, SourceError))
