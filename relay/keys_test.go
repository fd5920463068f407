package relay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
)

// token is a token that is told apart by a word.
func token(word string) string { return "tOkEn-0123456789-" + word }

// keysFile writes a keys file and returns its path.
func keysFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, text)
	return path
}

// writeKeys puts a new file in the place of the one that there is, as careful programs do.
func writeKeys(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

// oneKey is the text of a file with a key and a policy.
func oneKey(policy string) string {
	if policy != "" {
		policy = `, "policy": ` + policy
	}
	return `{"keys": [{"name": "desk", "token": "` + token("desk") + `"` + policy + `}]}`
}

func TestKeysFile(t *testing.T) {
	keys, err := relay.LoadKeys(keysFile(t, `{"keys": [
		{"name": "desk", "token": "`+token("desk")+`"},
		{"name": "screen in the hall", "token": "`+token("hall")+`", "policy": {}},
		{"name": "all", "token": "`+token("all")+`", "policy": {
			"markets": ["stocks", "futures/cme"], "channels": ["T", "XT"], "symbols": ["AAPL", "BRK*", "*"], "wildcards": true,
			"max_topics": 1, "overflow": "conflate", "snapshot": true, "snapshot_on_subscribe": true}}
	]}`))
	require.NoError(t, err)
	st := keys.Stats()
	require.Equal(t, 3, st.Keys)
	require.EqualValues(t, 1, st.Loads)
	require.NoError(t, st.Err)
	for _, text := range []string{`{"keys":[]}`, " {\n\"keys\" : [ ] } \n\n"} {
		_, err = relay.LoadKeys(keysFile(t, text))
		require.NoError(t, err, "nobody may connect")
	}
}

// TestDocumentedKeys: the file that the documentation shows is one.
func TestDocumentedKeys(t *testing.T) {
	text, err := os.ReadFile("../docs/relay.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "```json\n")
	require.True(t, found)
	example, _, _ := strings.Cut(rest, "```")
	keys, err := relay.LoadKeys(keysFile(t, example))
	require.NoError(t, err)
	require.Equal(t, 1, keys.Stats().Keys)
}

// TestBadKeysFiles: whatever is not of the format is refused, with the line, and without a token.
func TestBadKeysFiles(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"empty", "", 1, "ends too early"},
		{"only space", "\n\n", 1, "ends too early"},
		{"no JSON", "keys = 1", 1, "no JSON"},
		{"a mark of byte order", "\ufeff{\"keys\":[]}", 1, "no JSON"},
		{"no UTF-8", "{\n\"keys\": [\n\"\xff\"]}", 3, "UTF-8"},
		{"a list", `[]`, 1, "must be an object"},
		{"null", `null`, 1, "must be an object"},
		{"without keys", "{\n}", 2, `no field "keys"`},
		{"unknown field", "{\"keys\": [],\n\"kyes\": []}", 2, `no field "kyes"`},
		{"another case", "{\n\"Keys\": []}", 2, `no field "Keys"`},
		{"twice", "{\"keys\": [],\n\n\"keys\": []}", 3, `"keys" comes twice`},
		{"keys are no list", "{\"keys\":\n{}}", 2, "keys must be a list"},
		{"a key is no object", "{\"keys\": [\n7]}", 2, "a key must be an object"},
		{"behind the end", oneKey("") + "\n{}", 2, "behind the end"},
		{"garbage behind the end", oneKey("") + "\n\nx", 3, "behind the end"},
		{"cut off", oneKey("")[:10], 1, "ends too early"},
		{"cut off in a text", "{\"keys\": [\n{\"name\": \"de", 2, "no JSON"},
		{"a comma too many", "{\"keys\": [\n{\"name\": \"desk\", \"token\": \"" + token("x") + "\",\n}]}", 3, "no JSON"},
		{"no comma", "{\"keys\": [\n{\"name\": \"desk\"\n\"token\": \"" + token("x") + "\"}]}", 3, "no JSON"},
		{"a bad escape", "{\"keys\": [\n{\"token\": \"" + token("x") + "\\q\"}]}", 2, "no JSON"},
		{"wrong brackets", "{\"keys\": [\n}", 2, "no JSON"},
		{"unknown field of a key", "{\"keys\": [{\"name\": \"desk\",\n\"tokn\": 1}]}", 2, `no field "tokn" here: there are name, token, policy`},
		{"a token as a field", "{\"keys\": [{\"name\": \"desk\",\n\"" + token("x") + "\": 1}]}", 2, "no field what stands here"},
		{"a field of a key twice", "{\"keys\": [{\"name\": \"desk\",\n\"name\": \"desk\"}]}", 2, `"name" comes twice`},
		{"no name", "{\"keys\": [\n{\"token\": \"" + token("x") + "\"}]}", 2, `no field "name"`},
		{"no token", "{\"keys\": [\n{\"name\": \"desk\"}]}", 2, `no field "token"`},
		{"name is no text", "{\"keys\": [{\n\"name\": 1}]}", 2, "name must be a text"},
		{"name is empty", "{\"keys\": [{\"name\": \"\",\n\"token\": \"" + token("x") + "\"}]}", 2, "visible characters"},
		{"name with a line", `{"keys": [{"name": "a\nb", "token": "` + token("x") + `"}]}`, 1, "visible characters"},
		{"name is the token", `{"keys": [{"name": "` + token("x") + `", "token": "` + token("x") + `"}]}`, 1, "names are shown"},
		{"name is another's token", `{"keys": [{"name": "a", "token": "` + token("x") + `"},` + "\n" + `{"name": "` + token("x") + `", "token": "` + token("y") + `"}]}`, 2, "names are shown"},
		{"token is another's name", `{"keys": [{"name": "` + token("x") + `", "token": "` + token("y") + `"},` + "\n" + `{"name": "a", "token": "` + token("x") + `"}]}`, 2, "names are shown"},
		{"token is a number", "{\"keys\": [{\n\"token\": 12345678901234567890}]}", 2, "token must be a text"},
		{"token is short", "{\"keys\": [{\n\"token\": \"0123456789abcde\"}]}", 2, "16 to 512"},
		{"token is long", "{\"keys\": [{\n\"token\": \"" + strings.Repeat("x", 513) + "\"}]}", 2, "16 to 512"},
		{"token with space", "{\"keys\": [{\n\"token\": \"" + token("x") + " \"}]}", 2, "ASCII"},
		{"token is no ASCII", "{\"keys\": [{\n\"token\": \"" + token("ü") + "\"}]}", 2, "ASCII"},
		{"names alike", oneKey("")[:len(oneKey(""))-2] + ",\n{\"name\": \"desk\", \"token\": \"" + token("x") + "\"}]}", 2, `another key named "desk"`},
		{"tokens alike", oneKey("")[:len(oneKey(""))-2] + ",\n{\"name\": \"other\", \"token\": \"" + token("desk") + "\"}]}", 2, `the token is that of "desk"`},
		{"policy is null", oneKey("\nnull"), 2, "policy must be an object"},
		{"unknown field of a policy", oneKey("{\n\"market\": []}"), 2, `no field "market" here`},
		{"a field of a policy twice", oneKey("{\"symbols\": [\"A\"],\n\"symbols\": [\"B\"]}"), 2, `"symbols" comes twice`},
		{"no market", oneKey("{\n\"markets\": [\"stock\"]}"), 2, `markets: there is no "stock"`},
		{"markets are none", oneKey("{\n\"markets\": []}"), 2, "would allow nothing"},
		{"markets are a text", oneKey("{\n\"markets\": \"stocks\"}"), 2, "markets must be a list"},
		{"no channel", oneKey("{\n\"channels\": [\"T\", \"TT\"]}"), 2, `channels: there is no "TT"`},
		{"channels are none", oneKey("{\n\"channels\": []}"), 2, "would allow nothing"},
		{"a channel twice", oneKey("{\"channels\": [\"T\",\n\"T\"]}"), 2, `"T" comes twice`},
		{"symbols are none", oneKey("{\n\"symbols\": []}"), 2, "would allow nothing"},
		{"symbol is empty", oneKey("{\n\"symbols\": [\"\"]}"), 2, "no symbol"},
		{"symbol is a number", oneKey("{\n\"symbols\": [1]}"), 2, "symbols must be a text"},
		{"a star in front", oneKey("{\n\"symbols\": [\"*A\"]}"), 2, "not its end"},
		{"two stars", oneKey("{\n\"symbols\": [\"A**\"]}"), 2, "not its end"},
		{"a list of symbols in one", oneKey("{\n\"symbols\": [\"A,B\"]}"), 2, "no symbol"},
		{"wildcards are a text", oneKey("{\n\"wildcards\": \"true\"}"), 2, "true or false"},
		{"wildcards without all symbols", oneKey("{\"symbols\": [\"A*\"],\n\"wildcards\": true}"), 2, "not all symbols"},
		{"snapshot_on_subscribe is a text", oneKey("{\n\"snapshot_on_subscribe\": \"yes\"}"), 2, "true or false"},
		{"snapshot is a number", oneKey("{\n\"snapshot\": 1}"), 2, "true or false"},
		{"no topics", oneKey("{\n\"max_topics\": 0}"), 2, "1 or more"},
		{"half a topic", oneKey("{\n\"max_topics\": 1.5}"), 2, "1 or more"},
		{"too many topics", oneKey("{\n\"max_topics\": 99999999999999999999}"), 2, "1 or more"},
		{"no overflow policy", oneKey("{\n\"overflow\": \"block\"}"), 2, `there is no "block"`},
		{"long", `{"keys":[]}` + strings.Repeat(" ", 1<<20), 0, "bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := keysFile(t, tc.text)
			keys, err := relay.LoadKeys(path)
			require.Nil(t, keys)
			var bad *relay.KeysError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, path, bad.Path)
			require.Equal(t, tc.line, bad.Line, err)
			require.ErrorContains(t, err, tc.want)
			if tc.line > 0 {
				require.ErrorContains(t, err, fmt.Sprintf("keys.json:%d: ", tc.line))
			}
			require.NotContains(t, err.Error(), "tOkEn")
		})
	}
}

func TestNoKeysFile(t *testing.T) {
	_, err := relay.LoadKeys(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = relay.LoadKeys(t.TempDir())
	require.ErrorContains(t, err, "no file")
}

// TestExposedKeysFile: a file that others may read is no secret, and one that others may write
// lets in whom they like.
func TestExposedKeysFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are Unix's")
	}
	path := keysFile(t, oneKey(""))
	for mode, good := range map[os.FileMode]bool{
		0o400: true, 0o600: true, 0o640: true, 0o440: true, 0o700: true,
		0o644: false, 0o604: false, 0o660: false, 0o602: false, 0o620: false, 0o601: false,
	} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := relay.LoadKeys(path)
		if good {
			require.NoError(t, err, "%o", mode)
		} else {
			require.ErrorIs(t, err, relay.ErrExposed, "%o", mode)
		}
	}
}

func TestKeysOfAProgram(t *testing.T) {
	good := relay.Key{Name: "desk", Token: token("desk")}
	for name, keys := range map[string][]relay.Key{
		"no name":             {{Token: token("x")}},
		"no token":            {{Name: "x"}},
		"names alike":         {good, {Name: "desk", Token: token("x")}},
		"tokens alike":        {good, {Name: "x", Token: token("desk")}},
		"a name is a token":   {good, {Name: token("desk"), Token: token("x")}},
		"no such market":      {{Name: "x", Token: token("x"), Policy: relay.Policy{Markets: []tickstorm.Market{"x"}}}},
		"nothing is allowed":  {{Name: "x", Token: token("x"), Policy: relay.Policy{Symbols: []string{}}}},
		"a negative limit":    {{Name: "x", Token: token("x"), Policy: relay.Policy{MaxTopics: -1}}},
		"no such overflow":    {{Name: "x", Token: token("x"), Policy: relay.Policy{Overflow: 99}}},
		"wildcards of some":   {{Name: "x", Token: token("x"), Policy: relay.Policy{Symbols: []string{"A*"}, Wildcards: true}}},
		"a channel of a poem": {{Name: "x", Token: token("x"), Policy: relay.Policy{Channels: []string{"T."}}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := relay.NewKeys(keys...)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "tOkEn")
			k, err := relay.NewKeys(good)
			require.NoError(t, err)
			require.Error(t, k.Set(keys...))
			require.Equal(t, 1, k.Stats().Keys)
		})
	}
	k, err := relay.NewKeys()
	require.NoError(t, err)
	require.NoError(t, k.Reload(), "there is nothing to reload")
	require.NoError(t, k.Set(good))
	require.EqualValues(t, 2, k.Stats().Loads)
	file, err := relay.LoadKeys(keysFile(t, oneKey("")))
	require.NoError(t, err)
	require.ErrorContains(t, file.Set(good), "file")
}

// TestKeysPrintWithoutTokens, whatever prints them.
func TestKeysPrintWithoutTokens(t *testing.T) {
	key := relay.Key{Name: "desk", Token: token("desk")}
	keys, err := relay.NewKeys(key)
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("keys", "key", key, "pointer", &key, "list", []relay.Key{key}, "keys", keys)
	text, err := json.Marshal([]relay.Key{key})
	require.NoError(t, err)
	for _, s := range []string{
		log.String(), string(text), key.String(), fmt.Sprint(key, &key, []relay.Key{key}, keys, keys.Stats()),
		fmt.Sprintf("%v %+v %#v %s %q %x %d", key, key, key, key, key, key, key), fmt.Sprintf("%+v %#v", keys, keys.Stats()),
	} {
		require.NotContains(t, s, "tOkEn")
		require.NotContains(t, s, fmt.Sprintf("%x", token("desk")))
	}
	require.Contains(t, key.String(), "desk")
}

// TestReload: a file that is broken leaves the keys as they were, and says so until it is mended.
func TestReload(t *testing.T) {
	path := keysFile(t, oneKey(""))
	keys, err := relay.LoadKeys(path)
	require.NoError(t, err)
	require.NoError(t, keys.Reload())
	require.EqualValues(t, 1, keys.Stats().Loads, "it is as it was")
	writeKeys(t, path, "{")
	var bad *relay.KeysError
	require.ErrorAs(t, keys.Reload(), &bad)
	require.ErrorAs(t, keys.Reload(), &bad)
	st := keys.Stats()
	require.Equal(t, 1, st.Keys)
	require.ErrorAs(t, st.Err, &bad)
	require.EqualValues(t, 1, st.Failures, "for the same reason")
	require.NoError(t, os.Remove(path))
	require.ErrorIs(t, keys.Reload(), os.ErrNotExist)
	require.EqualValues(t, 2, keys.Stats().Failures)
	writeKeys(t, path, oneKey(""))
	require.NoError(t, keys.Reload())
	require.NoError(t, keys.Stats().Err)
	require.EqualValues(t, 1, keys.Stats().Loads, "the same are in effect")
	writeKeys(t, path, `{"keys": []}`)
	require.NoError(t, keys.Reload())
	require.Zero(t, keys.Stats().Keys)
}
