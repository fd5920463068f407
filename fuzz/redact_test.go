package fuzz

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/redact"
)

// FuzzRedact: the secret is not in what comes out, however it was written, and nothing is
// changed that has none of it.
func FuzzRedact(f *testing.F) {
	f.Add("no s3cret", "s3cret")
	f.Add(`a\u0062`, "ab")
	f.Add("][][", "][")
	f.Add("e***e", "e*")
	f.Fuzz(func(t *testing.T, text, secret string) {
		for _, form := range []string{text, text + secret, strconv.Quote(secret) + text, strconv.QuoteToASCII(text + secret), fmt.Sprint(secret, text, secret)} {
			clean := redact.String(form, secret)
			require.Equal(t, -1, redact.Index(clean, secret))
			require.Equal(t, clean, redact.String(clean, secret))
			if secret != "" {
				require.False(t, strings.Contains(clean, secret))
			}
		}
		written, err := json.Marshal(secret)
		require.NoError(t, err)
		if secret != "" && !strings.ContainsRune(string(written), '\uFFFD') && !strings.Contains(string(written), `\ufffd`) {
			require.Contains(t, []int{0, 1}, redact.Index(written, secret), "behind the quote, unless it begins with one")
		}
	})
}
