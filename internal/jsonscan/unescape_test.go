package jsonscan_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tickstorm/tickstorm/internal/jsonscan"
)

func TestUnescape(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"empty", ``, ""},
		{"plain", `NVDA`, "NVDA"},
		{"beyond ASCII", `Ünï😀`, "Ünï😀"},
		{"short escapes", `\"\\\/\b\f\n\r\t`, "\"\\/\b\f\n\r\t"},
		{"escapes inside text", `a\nb\\c\/d`, "a\nb\\c/d"},
		{"escaped backslash before u", `\\u0041`, `\u0041`},
		{"ASCII", `\u0041`, "A"},
		{"zero", `a\u0000b`, "a\x00b"},
		{"two bytes", `\u00e9`, "é"},
		{"three bytes, capitals", `\u20AC`, "€"},
		{"replacement itself", `\ufffd`, "\ufffd"},
		{"noncharacter", `\uffff`, "\uffff"},
		{"surrogate pair", `\ud83d\ude00`, "😀"},
		{"surrogate pair, capitals", `\uD83D\uDE00!`, "😀!"},
		{"first of all pairs", `\ud800\udc00`, "\U00010000"},
		{"last of all pairs", `\udbff\udfff`, "\U0010ffff"},
		{"lone high", `\ud83d`, "\ufffd"},
		{"lone low", `\ude00`, "\ufffd"},
		{"lone high before text", `\ud83dxyz`, "\ufffdxyz"},
		{"lone high before an escape", `\ud83d\n`, "\ufffd\n"},
		{"lone high before another rune", `\ud83d\u0041`, "\ufffdA"},
		{"two highs", `\ud83d\ud83d`, "\ufffd\ufffd"},
		{"two highs and a low", `\ud83d\ud83d\ude00`, "\ufffd😀"},
		{"low before high", `\ude00\ud83d`, "\ufffd\ufffd"},
		{"high before the replacement", `\ud83d\ufffd`, "\ufffd\ufffd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want string
			require.NoError(t, json.Unmarshal([]byte(`"`+tt.raw+`"`), &want))
			require.Equal(t, tt.want, want, "the table itself is wrong")

			require.Equal(t, want, string(jsonscan.Unescape(nil, []byte(tt.raw))))
			require.Equal(t, "before"+want, string(jsonscan.Unescape([]byte("before"), []byte(tt.raw))))
		})
	}
}

func TestUnescapeRandom(t *testing.T) {
	rounds := 200_000
	if testing.Short() || raceEnabled {
		rounds = 20_000
	}
	rnd := rand.New(rand.NewPCG(11, 12))
	pieces := []string{
		`a`, `xyz`, `é`, `😀`, `\n`, `\\`, `\"`, `\/`, `\u0041`, `\u00e9`, `\ud800`, `\udbff`, `\udc00`, `\udfff`, `\uffff`, `\uFFFD`, `u`, `0`,
	}
	for range rounds {
		var raw strings.Builder
		for range rnd.IntN(8) {
			raw.WriteString(pieces[rnd.IntN(len(pieces))])
		}
		var want string
		require.NoError(t, json.Unmarshal([]byte(`"`+raw.String()+`"`), &want))
		got := jsonscan.Unescape(nil, []byte(raw.String()))
		if string(got) != want {
			require.Equal(t, want, string(got), raw.String())
		}
		if len(got) > raw.Len() {
			require.LessOrEqual(t, len(got), raw.Len())
		}
	}
}

// What is no valid inside of a string must not panic: the text is unspecified.
func TestUnescapeInvalid(t *testing.T) {
	for _, raw := range []string{`\`, `a\`, `\u`, `\u1`, `\u123`, `\uzzzz`, `\ud83d\`, `\ud83d\u`, `\ud83d\u12`, `\ud83d\uzzzz`, `\x`} {
		require.NotPanics(t, func() { jsonscan.Unescape(nil, []byte(raw)) }, raw)
	}
}
