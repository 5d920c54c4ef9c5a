import pytest

from agent.executor.languages.sql_statements import BadScript, Parameter, declared, statements

ODD = "SELECT 'a;$1', \"b;$2\" /* ; $9 */ FROM t -- ; $8\nWHERE a = $1"
HEAD = "-- a word first\n-- $2 n (numeric(10, 2)) = 5\n-- $1 name (text)\n"


def texts(script: str, dialect: str) -> list[tuple[str, ...]]:
    return [tuple(piece.strip() for piece in one.pieces) for one in statements(script, dialect)]


def test_arguments_are_declared_at_the_top() -> None:
    assert declared(HEAD + "SELECT 1\n-- $3 later (int)") == [
        Parameter("name", "text"),
        Parameter("n", "numeric(10, 2)", "5"),
    ]
    assert declared("-- ? a (int)\n-- :b\n-- ? c (text) = 'x y'") == [
        Parameter("a", "int"),
        Parameter("b"),
        Parameter("c", "text", "'x y'"),
    ]


def test_a_default_counts_where_nothing_was_given() -> None:
    one = Parameter("n", "int", "5")
    assert [one.value_in(args) for args in ({}, {"n": None}, {"n": 0})] == [5, 5, 0]
    assert Parameter("n").value_in({}) is None
    assert Parameter("t", "text", "'a b'").value_in({}) == "a b"


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "sqlite"])
def test_what_stands_in_texts_and_comments_is_left_alone(dialect: str) -> None:
    script = f"{HEAD}{ODD};\n\nSELECT $2"
    first, second = statements(script, dialect)
    assert "'a;$1', \"b;$2\"" in first.pieces[0]
    assert (first.used[0].name, first.line) == ("name", 4)
    assert (second.used[0].name, second.line) == ("n", 7)


def test_postgresql_bodies_and_casts_stay_whole() -> None:
    body = "CREATE FUNCTION f() RETURNS int AS $x$ BEGIN; RETURN $1; END $x$ LANGUAGE plpgsql"
    script = f"{body};SELECT '1'::int ? E'\\';'"
    assert [one.used for one in statements(script, "postgresql")] == [(), ()]


def test_mysql_has_its_own_texts_and_places() -> None:
    script = "-- ? a (int)\n-- :b (int)\nSELECT 'it\\'s ;', ?, :b # ; ?\n, \"?\""
    (one,) = statements(script, "mysql")
    assert [parameter.name for parameter in one.used] == ["a", "b"]


def test_a_trigger_of_sqlite_is_one_statement() -> None:
    script = "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = 1; END; SELECT 1;"
    assert texts(script, "sqlite") == [
        ("CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = 1; END",),
        ("SELECT 1",),
    ]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("SELECT $1", "declare it at its top: -- $1 name (type)"),
        ("-- $2 b (int)\nSELECT $2", "declares $2 and not $1"),
        ("-- $1 a (int); DROP TABLE x)\nSELECT $1", "is no type"),
    ],
)
def test_what_is_not_declared_is_named(script: str, words: str) -> None:
    with pytest.raises(BadScript) as refused:
        statements(script, "postgresql")
    assert words in str(refused.value)
