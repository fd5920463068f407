package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestConfiguration: what cannot be meant in the file is said with its line, and without what stands there.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.json")
	for _, c := range []struct{ text, says string }{
		{"{\n\t\"context\": \"a\",\n\t\"contexts\": {\n\t\t\"a\": {\n\t\t\t\"feeed\": \"delayed\"\n\t\t}\n\t}\n}", `:5: no member "feeed" is known: there are feed, key_file, market, relay`},
		{"{\n\"contexts\": {\"a\": {\"Feed\": \"delayed\"}}}", `:2: no member "Feed"`},
		{"{\n\n\"colour\": 1}", `:3: no member "colour" is known: there are context, contexts`},
		{"{\"contexts\": {\n\"a\": {\"key\": \"secretsecret\"}}}", `:2: a key does not stand there`},
		{"{\"contexts\": {\n\"a\": {\"API_KEY\": \"secretsecret\"}}}", `:2: a key does not stand there`},
		{"{\"contexts\": {\"a\": {},\n\"a\": {}}}", `:2: "a" stands there twice`},
		{"{\"contexts\": {\"a\": {\n\"market\": 5}}}", `:2: a text is expected`},
		{"{\"contexts\": {\"a\": {\n\"market\": null}}}", `:2: a text is expected`},
		{"{\"contexts\": {\n\"a\": []}}", `:2: an object is expected`},
		{"{\"contexts\": {\"a\": {\"market\": \"stocks\",}\n}}", `:1: invalid character`},
		{"{\"contexts\": {}}\n{}", `:2: something follows the object`},
		{"{\"contexts\": {}}\n// end", `:2: invalid character`},
		{"{\"context\": \n", `:2: it ends in the middle`},
		{"{", `:1: it ends in the middle`},
		{"", `:1: it ends in the middle`},
		{"[]", `:1: an object is expected`},
	} {
		require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
		s := newScene(t)
		require.Equal(t, exitUsage, s.run(t, "sub", "--demo", "-n", "1", "--config", path, "T.AAPL"), "%s: %s", c.text, s.err)
		require.Contains(t, s.err.String(), "configuration: "+path+c.says, c.text)
		require.NotContains(t, s.err.String(), "secretsecret")
	}
	for _, text := range []string{`{}`, ` {"contexts":{"key":{"market":"crypto"}}} ` + "\n", "\xEF\xBB\xBF{\"context\":\"c\",\"contexts\":{\"c\":{\"market\":\"stocks\"}}}"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, "sub", "--demo", "-n", "1", "--config", path, "T.AAPL"), "%s: %s", text, s.err)
	}
	require.NoError(t, os.WriteFile(path, make([]byte, maxConfiguration+1), 0o600))
	s := newScene(t)
	require.Equal(t, exitUsage, s.run(t, "sub", "--demo", "--config", path, "T.AAPL"))
	require.Contains(t, s.err.String(), "longer than")
}
