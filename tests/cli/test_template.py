"""Go templates: docker's documented examples, the rules of text/template that scripts meet, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.cli.go_values import Map, go_json
from pyrt.cli.template import Template
from pyrt.errors import UsageError

DATA: dict[str, object] = {
    "State": {"Status": "running", "Pid": 7, "Running": True, "Health": None},
    "Config": {"Env": ["A=1", "B=2"], "Labels": Map({"z.y": "1", "a": "x y"}), "Cmd": None},
    "Name": "/web",
    "Size": 1.5,
    "Zero": 0,
    "Empty": "",
    "Ports": Map({"80/tcp": [{"HostPort": "8080"}], "443/tcp": None}),
    "Label": lambda name: f"<{name}>",
}

GOOD = [
    ("", ""),
    ("text", "text"),
    ("{{.State.Status}}", "running"),
    ("{{ .State.Status }}", "running"),
    ("{{.State.Pid}} {{.State.Running}} {{.Size}}", "7 true 1.5"),
    ("{{$.Name}}", "/web"),
    ("{{(.State).Status}}", "running"),
    ("{{json .Config.Env}}", '["A=1","B=2"]'),
    ("{{json .Name}}", '"/web"'),
    ("{{json .Config.Cmd}}", "null"),
    ("{{.Config.Env}}", "[A=1 B=2]"),
    ("{{.Config.Labels}}", "map[a:x y z.y:1]"),
    ("{{.Config.Cmd}}", "<no value>"),
    ("{{.Config.Labels.nosuch}}", "<no value>"),
    ('{{index .Config.Labels "z.y"}}', "1"),
    ('{{index .Config.Labels "nosuch"}}', "<no value>"),
    ("{{index .Config.Env 1}}", "B=2"),
    ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
    ('{{index .Config "Env" 0}}', "A=1"),
    ('{{join .Config.Env ","}}', "A=1,B=2"),
    ('{{join (split "a b" " ") "+"}}', "a+b"),
    ('{{upper .Name}} {{lower "ABC"}} {{title "ab cd"}}', "/WEB abc Ab Cd"),
    ("{{truncate .Name 2}} {{truncate .Name 99}}", "/w /web"),
    ('{{pad "x" 1 2}}|{{pad "" 1 2}}|', " x  ||"),
    ("{{len .Config.Env}} {{len .Name}} {{len .Config.Labels}}", "2 4 2"),
    ("{{slice .Name 1}} {{slice .Name 1 2}}", "web w"),
    ("{{range .Config.Env}}<{{.}}>{{end}}", "<A=1><B=2>"),
    ("{{range $i, $e := .Config.Env}}{{$i}}={{$e}} {{end}}", "0=A=1 1=B=2 "),
    ("{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}};{{end}}", "a:x y;z.y:1;"),
    ("{{range .Config.Cmd}}x{{else}}none{{end}}", "none"),
    ("{{range $e := .Config.Env}}{{$e}}{{end}}", "A=1B=2"),
    ("{{range .Config.Env}}{{$.State.Pid}}{{end}}", "77"),
    ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
    ("{{if .Zero}}a{{else if .Empty}}b{{else if .Config.Cmd}}c{{else}}d{{end}}", "d"),
    ("{{if .State}}struct{{end}}", "struct"),
    ("{{with .State}}{{.Status}}{{end}}{{with .Empty}}x{{else}}y{{end}}", "runningy"),
    ("{{with $x := .Name}}{{$x}}{{.}}{{end}}", "/web/web"),
    ('{{$x := .Name}}{{$x = "new"}}{{$x}}', "new"),
    ('{{eq .State.Pid 7}} {{eq .Name "a" "/web"}} {{ne .Zero 1}}', "true true true"),
    ('{{lt 1 2}}{{le 2 2}}{{gt 1 2}}{{ge 1 2}}{{lt "a" "b"}}', "truetruefalsefalsetrue"),
    ("{{eq .Config.Cmd nil}}", "true"),
    ("{{and true .Name}} {{or .Empty .Name}} {{not .Empty}} {{and .Empty .Nosuch}}|", "/web /web true |"),
    ('{{printf "%s is %d" .Name .State.Pid}}', "/web is 7"),
    ('{{printf "%-6s|%6s|%q" "a" "b" "c"}}', 'a     |     b|"c"'),
    ('{{printf "%v %v %v" .Config.Env .Config.Cmd true}}', "[A=1 B=2] <nil> true"),
    ('{{printf "%05d %+d %x %x %.2f %t 100%%" 42 7 255 "az" .Size true}}', "00042 +7 ff 617a 1.50 true 100%"),
    ('{{printf "%d %s" "x"}}', "%!d(string=x) %!s(MISSING)"),
    ('{{printf "%s" 1 2}}', "%!s(int=1)%!(EXTRA int=2)"),
    ('{{println "a" 1}}', "a 1\n"),
    ('{{print 1 2 "a" "b" 3}}', "1 2ab3"),
    ('{{.Name | printf "%s!" | upper}}', "/WEB!"),
    ("{{.Config | json}}", '{"Env":["A=1","B=2"],"Labels":{"a":"x y","z.y":"1"},"Cmd":null}'),
    ("a {{- .Name -}} b", "a/webb"),
    ("a {{/* comment */}}b", "a b"),
    ("a {{- /* comment\n */ -}} b", "ab"),
    ('{{"a\\tb\\u00e9\\x41"}}{{`raw\\t`}}', "a\tbéAraw\\t"),
    ("{{-1}} {{0x10}} {{1.5}} {{true}}", "-1 16 1.5 true"),
    ('{{.Label "com.x"}}', "<com.x>"),
    ('{{"com.x" | .Label}}', "<com.x>"),
    ("}} stays", "}} stays"),
]

BAD = [
    ("{{", "unclosed action"),
    ("{{.Name", "unclosed action"),
    ("{{.Name}", "unexpected '}' in an action"),
    ("{{}}", "missing value"),
    ("{{.State.Nosuch}}", "can't evaluate field Nosuch"),
    ("{{.Name.X}}", "can't evaluate field X in type string"),
    ("{{.State.Health.Status}}", "nothing there to have a field 'Status'"),
    ("{{.Config.Labels.nosuch.x}}", "nothing there"),
    ("{{nosuch}}", "function 'nosuch' not defined"),
    ("{{html .Name}}", "function 'html' not defined"),
    ('{{define "x"}}{{end}}', "'define' is not supported"),
    ('{{template "x"}}', "'template' is not supported"),
    ("{{range .Config.Env}}{{break}}{{end}}", "'break' is not supported"),
    ("{{if .Name}}", "has no {{end}}"),
    ("{{end}}", "unexpected {{end}}"),
    ("{{else}}", "unexpected {{else}}"),
    ("{{if .Name}}a{{else}}b{{else}}c{{end}}", "unexpected {{else}}"),
    ("{{if .Name}}a{{else x}}b{{end}}", "unexpected 'x' after else"),
    ("{{$x}}", "undefined variable '$x'"),
    ("{{if true}}{{$x := 1}}{{end}}{{$x}}", "undefined variable '$x'"),
    ("{{$x = 1}}", "undefined variable '$x'"),
    ("{{(.Name}}", "unclosed parenthesis"),
    ("{{.Name)}}", "unexpected ')'"),
    ("{{.Name | }}", "missing value"),
    ('{{.Name | "x"}}', "a constant cannot follow a pipe"),
    ("{{.Name 1}}", "is no function"),
    ("{{index .Config.Env 5}}", "index out of range"),
    ('{{index .Name "x"}}', "cannot index string with string"),
    ('{{eq 1 "1"}}', "incompatible types"),
    ("{{lt true false}}", "invalid type for comparison"),
    ("{{len 3}}", "len of type int"),
    ("{{range .Name}}{{end}}", "range can't iterate over /web"),
    ("{{join .Name 1}}", "join of type string"),
    ("{{lower}}", "wrong number of arguments for lower"),
    ("{{lower 1}}", "expected string; found 1"),
    ("{{'x'}}", "quotation"),
    ('{{"x}}', "quotation"),
    ("{{`x}}", "quotation"),
    ("{{.A ! .B}}", "unexpected '!'"),
    ('{{"\\z"}}', "unknown escape"),
    ("{{" + "(" * 500 + "1" + ")" * 500 + "}}", "nested too deeply"),
    ("{{if 1}}" * 300 + "{{end}}" * 300, "nested too deeply"),
    ('{{pad "x" 99999999 0}}', "expected integer"),
]


@pytest.mark.parametrize(("template", "text"), GOOD)
def test_filled(template: str, text: str) -> None:
    assert Template(template).fill(DATA) == text


@pytest.mark.parametrize(("template", "message"), BAD)
def test_refused(template: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Template(template).fill(DATA)
    assert str(caught.value).startswith("template parsing error: ")
    assert message in str(caught.value)


PIECES = [*'{}-. |()$,=:"`a1\\\t/*%', "{{", "}}", "{{range ", "{{if ", "{{else}}", "{{end}}", ".Name", "json ", ":="]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_text_is_filled_or_refused(pieces: list[str]) -> None:
    try:
        Template("".join(pieces)).fill(DATA)
    except UsageError as error:
        assert str(error).startswith("template parsing error: ")


@given(st.text(st.characters(exclude_characters="{")))
def test_text_without_actions_stays(text: str) -> None:
    assert Template(text).fill(None) == text


def test_json_is_valid_and_safe_on_a_terminal() -> None:
    assert go_json({"a": "\x1b[31m<&>\u009b\u202e\udcff"}) == '{"a":"\\u001b[31m<&>\\u009b\\u202e\ufffd"}'
