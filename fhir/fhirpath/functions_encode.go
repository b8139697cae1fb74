package fhirpath

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"html"
	"strconv"
	"unicode/utf8"
)

func (m *machine) encode(in Value, args []Value) (v Value, ok bool, err error) {
	if err := m.spendText(2 * len(in.text)); err != nil {
		return v, false, err
	}
	switch string(args[0].text) {
	case "base64":
		return String(base64.StdEncoding.EncodeToString(in.text)), true, nil
	case "urlbase64":
		return String(base64.URLEncoding.EncodeToString(in.text)), true, nil
	case "hex":
		return String(hex.EncodeToString(in.text)), true, nil
	}
	return v, false, nil
}

// decode is empty for what was not encoded so, or is no text.
func (m *machine) decode(in Value, args []Value) (v Value, ok bool, err error) {
	if err := m.spendText(len(in.text)); err != nil {
		return v, false, err
	}
	var out []byte
	switch string(args[0].text) {
	case "base64":
		out, err = base64.StdEncoding.DecodeString(string(in.text))
	case "urlbase64":
		out, err = base64.URLEncoding.DecodeString(string(in.text))
	case "hex":
		out, err = hex.DecodeString(string(in.text))
	default:
		return v, false, nil
	}
	return stringOf(out), err == nil && utf8.Valid(out), nil
}

func (m *machine) escape(in Value, args []Value) (v Value, ok bool, err error) {
	if err := m.spendText(6 * len(in.text)); err != nil {
		return v, false, err
	}
	switch string(args[0].text) {
	case "html":
		s := bytes.ReplaceAll([]byte(html.EscapeString(string(in.text))), []byte("&#34;"), []byte("&quot;"))
		return stringOf(s), true, nil
	case "json":
		return stringOf(appendEscaped(nil, in.text)), true, nil
	}
	return v, false, nil
}

// appendEscaped writes a text as it stands in a JSON string.
func appendEscaped(out, s []byte) []byte {
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c == '\r':
			out = append(out, '\\', 'r')
		case c == '\t':
			out = append(out, '\\', 't')
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			out = append(out, c)
		}
	}
	return out
}

func (m *machine) unescape(in Value, args []Value) (v Value, ok bool, err error) {
	if err := m.spendText(len(in.text)); err != nil {
		return v, false, err
	}
	switch string(args[0].text) {
	case "html":
		return String(html.UnescapeString(string(in.text))), true, nil
	case "json":
		s, ok := unescapeJSON(in.text)
		return String(s), ok, nil
	}
	return v, false, nil
}

// unescapeJSON reads what stands in a JSON string; a bare quote may be there.
func unescapeJSON(s []byte) (string, bool) {
	var quoted []byte
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '/':
			quoted = append(quoted, '/')
			i++
		case s[i] == '\\' && i+1 < len(s):
			quoted = append(quoted, s[i], s[i+1])
			i++
		case s[i] == '"':
			quoted = append(quoted, '\\', '"')
		case s[i] < ' ':
			quoted = append(quoted, '\\', 'x', "0123456789abcdef"[s[i]>>4], "0123456789abcdef"[s[i]&15])
		default:
			quoted = append(quoted, s[i])
		}
	}
	out, err := strconv.Unquote(`"` + string(quoted) + `"`)
	return out, err == nil && utf8.ValidString(out)
}
