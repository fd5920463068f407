package redact_test

import (
	"encoding/base64"
	"net/url"
	"strings"
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
		{"as in a URL", "?token=s3%63ret&x", "s3cret", "?token=[redacted]&x"},
		{"another spelling of it", "s3cret%2fT", "s3cret/T", "[redacted]"},
		{"capitals", "s3cret%2FT", "s3cret/T", "[redacted]"},
		{"within the query of another", "?next=%2F%3Ftoken%3Ds3cret%252FT%26x", "s3cret/T", "?next=%2F%3Ftoken%3D[redacted]%26x"},
		{"three times", "s3cret%25252FT", "s3cret/T", "[redacted]"},
		{"space in a query", "s3+c%20ret", "s3 c ret", "[redacted]"},
		{"percent sign", "s3%25cr%et", "s3%cr%et", "[redacted]"},
		{"percent sign in the query of another", "token%3Ds3%2525cret", "s3%cret", "token%3D[redacted]"},
		{"percent sign further in", "s3%252525cret%252525", "s3%cret%", "[redacted]"},
		{"percent sign before what looks like one", "s3%2525cret", "s3%25cret", "[redacted]"},
		{"sign that escapes nothing", "s3%zzret%2", "s3cret", "s3%zzret%2"},
		{"escaped otherwise", "s3%64ret", "s3cret", "s3%64ret"},
		{"escaped in both ways", `s3\u0063%72et`, "s3cret", "[redacted]"},
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

// TestSecrets: of several that have each other in them nothing is left, and what is in every text is none.
func TestSecrets(t *testing.T) {
	s := redact.NewSecrets("a-key", "", "that-a-key-of-all", "of-a", "a-key", "it!", "1")
	require.Equal(t, "[redacted] [redacted], [redacted] it! 1", s.String("that-a-key-of-all a-key, of-a it! 1"))
	require.Equal(t, "[redacted]!", string(s.Bytes([]byte(`that-a-k\u0065y-of-all!`))))
	require.True(t, s.In([]byte(`"a-\u006bey"`)))
	require.False(t, s.In([]byte("a-kez")))
	clean := []byte("nothing")
	require.Same(t, &clean[0], &s.Bytes(clean)[0])
	require.Empty(t, redact.NewSecrets("", ""))

	require.Equal(t, redact.Secrets{"that-a-key-of-all"}, s.InData(), "a shorter one may be part of anything")
	require.Empty(t, redact.NewSecrets("a-key").InData())
	require.Equal(t, redact.Secrets{"12345678"}, redact.NewSecrets("12345678").InData())
}

// TestInBase64: a secret is found in what is encoded, wherever it stands there.
func TestInBase64(t *testing.T) {
	const secret = "s3cret~~?>>>t0ken"
	s := redact.NewSecrets(secret).InBase64()
	for before := range 7 {
		for after := range 4 {
			text := strings.Repeat("x", before) + secret + strings.Repeat("y", after)
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
				for _, spelled := range []string{e.EncodeToString([]byte(text)), url.QueryEscape(e.EncodeToString([]byte(text)))} {
					clean := s.String("state=" + spelled)
					require.Contains(t, clean, redact.Mask)
					require.Less(t, len(clean)-len("state="+redact.Mask), (before+after)*4/3+12, "%s: no more than some bits of it are left", clean)
				}
			}
		}
	}
	require.Equal(t, secret[:5], redact.NewSecrets(secret[:5]).InBase64()[0], "what would be found by chance is not looked for")
	require.Len(t, redact.NewSecrets(secret[:5]).InBase64(), 1)
}
