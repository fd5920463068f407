package admin

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"runtime/debug"
	"strings"
)

//go:embed page.html
var page string

// policy allows the page what is in it, and nothing else.
var policy = "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"style-src " + hashOf("<style>", "</style>") + "; script-src " + hashOf("<script>", "</script>")

func hashOf(open, end string) string {
	_, text, _ := strings.Cut(page, open)
	text, _, _ = strings.Cut(text, end)
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (a *Admin) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page)) // fails only if nobody reads it
}

// buildVersion is that of this module in the program.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown version"
	}
	const path = "github.com/tickstorm/tickstorm"
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == path && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)"
}
