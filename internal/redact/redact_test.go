package redact_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/redact"
)

func TestString(t *testing.T) {
	for _, tc := range []struct{ name, text, secret, want string }{
		{"not there", "subscribed to: T.A", "s3cret", "subscribed to: T.A"},
		{"no secret", "text", "", "text"},
		{"empty text", "", "s3cret", ""},
		{"the text", "s3cret", "s3cret", "[redacted]"},
		{"within", "no s3cret, not s3cret", "s3cret", "no [redacted], not [redacted]"},
		{"next to itself", "s3crets3cret", "s3cret", "[redacted][redacted]"},
		{"overlapping itself", "ababa", "aba", "[redacted]ba"},
		{"one letter", "T.AAPL", "T", "[redacted].AAPL"},
		{"in the mask", "bread", "red", "bread"},
		{"part of the mask", "a red car", "red", "a *** car"},
		{"the mask", "a [redacted] car", "[redacted]", "a *** car"},
		{"comes of the mask's end", "a][b", "][", "a[redacted]b"},
		{"comes of two masks", "][][", "][", "[redacted]"},
		{"comes of the other mask", "**", "*", "[redacted][redacted]"},
		{"escaped quote", `{"m":"a\"b"}`, `a"b`, `{"m":"[redacted]"}`},
		{"escaped backslash", `{"m":"a\\nb"}`, `a\nb`, `{"m":"[redacted]"}`},
		{"escaped slash", `{"m":"a\/b"}`, `a/b`, `{"m":"[redacted]"}`},
		{"escaped letters", `{"m":"\u0061\u0062c"}`, "abc", `{"m":"[redacted]"}`},
		{"escaped capitals", `{"m":"\u004A\u004a"}`, "JJ", `{"m":"[redacted]"}`},
		{"pair of surrogates", `{"m":"\ud83d\ude00x"}`, "😀x", `{"m":"[redacted]"}`},
		{"lone surrogate", `{"m":"\ud83dx"}`, "😀x", `{"m":"\ud83dx"}`},
		{"quoted by Go", `"\x00\u00e9\U0001f600\a"`, "\x00é😀\a", `"[redacted]"`},
		{"cut escape", `\u006`, "a", `\u006`},
		{"escape that is none", `\q\u00zz\`, "q\x00z", `\q\u00zz\`},
		{"behind a cut one", `s3s3cre\u0074`, "s3cret", `s3[redacted]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, redact.String(tc.text, tc.secret))
			require.Equal(t, tc.want, string(redact.Bytes([]byte(tc.text), tc.secret)))
			require.Equal(t, redact.Index(tc.text, tc.secret), redact.Index([]byte(tc.text), tc.secret))
			require.Equal(t, tc.text != tc.want, redact.Index(tc.text, tc.secret) >= 0)
		})
	}
}

func TestIndex(t *testing.T) {
	require.Equal(t, 3, redact.Index("no s3cret", "s3cret"))
	require.Equal(t, 3, redact.Index(`no s3cre\u0074`, "s3cret"))
	require.Equal(t, -1, redact.Index("no s3cre", "s3cret"))
}

// TestBytesAllocs: a text without the secret is looked at, no more.
func TestBytesAllocs(t *testing.T) {
	text := []byte(`{"ev":"status","status":"success","message":"subscribed to: T.\u0041"}`)
	require.Zero(t, testing.AllocsPerRun(100, func() { redact.Bytes(text, "s3cret-s3cret-s3cret-s3cret-s3cret") }))
}

// TestSecrets: of several that have each other in them nothing is left.
func TestSecrets(t *testing.T) {
	s := redact.NewSecrets("key", "", "the-key-of-all", "of", "key")
	require.Equal(t, "[redacted] [redacted], [redacted] it", s.String("the-key-of-all key, of it"))
	require.Equal(t, "[redacted]!", string(s.Bytes([]byte(`the-k\u0065y-of-all!`))))
	require.True(t, s.In([]byte(`"\u006bey"`)))
	require.False(t, s.In([]byte("kez")))
	clean := []byte("nothing")
	require.Same(t, &clean[0], &s.Bytes(clean)[0])
	require.Empty(t, redact.NewSecrets("", ""))
}
