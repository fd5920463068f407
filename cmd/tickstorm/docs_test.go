package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/record"
)

// TestDocs: the documentation has every verb and code, and its commands are of the grammar.
func TestDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	page := string(text)
	verbs, rest, ok := strings.Cut(section(t, page, "## Verbs"), "Standard output has data alone")
	require.True(t, ok)
	require.NotEmpty(t, rest)
	for _, n := range leaves(grammarOf(t).Model.Node) {
		require.Contains(t, verbs, "`"+pathOf(n, " ")+"`")
	}
	from := section(t, page, "## Where it comes from")
	for name := range feeds {
		require.Contains(t, from, "`"+name+"`")
	}
	codes := section(t, page, "## Exit codes")
	for _, code := range []int{exitOK, exitFailure, exitUsage, exitKey, exitPlan, exitEvicted, exitStale, exitInterrupted} {
		require.Contains(t, codes, "\n| "+strconv.Itoa(code)+" | ")
	}
	require.Equal(t, 8, strings.Count(codes, "\n| ")-1, "and no others")
	for _, c := range codesOf(t) {
		require.Contains(t, codes, "\n| "+strconv.Itoa(c)+" | ")
	}

	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	ran := 0
	for _, text := range []string{page, section(t, string(readme), "## Command line")} {
		for _, m := range regexp.MustCompile("(?m)(?:^|`|&& bin/)tickstorm ([a-z][^`|#\n]*)").FindAllStringSubmatch(text, -1) {
			words := strings.Fields(m[1])
			if m[1] = strings.TrimSpace(m[1]); strings.Contains(m[1], "'") {
				words = quoted(m[1])
			}
			if strings.Contains(m[1], "...") || strings.Contains(m[1], "VERB") || words[0] == "sub" && len(words) == 1 {
				continue
			}
			g := grammarOf(t)
			_, err := g.Parse(gathered(g.Model.Node, words))
			if err != nil && !strings.Contains(err.Error(), "expected one of") { // a group such as "sink"
				require.NoError(t, err, "tickstorm %s", m[1])
			}
			ran++
		}
	}
	require.Greater(t, ran, 15)
}

// TestObjects: every member of what is JSON for programs is documented.
func TestObjects(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	objects := section(t, string(text), "## JSON for programs")
	path := demo(t, newScene(t))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	bad := filepath.Join(t.TempDir(), "bad"+record.Suffix)
	require.NoError(t, os.WriteFile(bad, whole[:len(whole)-100], 0o600))
	for _, args := range [][]string{
		{"check", "--demo", "--for", "10ms", "--max-age", "1ns"},
		{"probe", "--demo", "-m", "indices", "--wait", "10s"},
		{"info", "-s", path},
		{"verify", bad},
		{"bench", "--corpus", "stocks1", "--events", "100", "--rounds", "1", "--stream", "20ms"},
		{"version"},
	} {
		s := newScene(t)
		s.run(t, append(args, "-f", "json")...)
		var v any
		require.NoError(t, json.Unmarshal([]byte(s.out.String()), &v), args)
		_, row, ok := strings.Cut(objects, "\n| `"+args[0]+"` |")
		require.True(t, ok, args[0])
		row, _, _ = strings.Cut(row, "\n")
		names := members(v, nil)
		require.NotEmpty(t, names)
		for _, name := range names {
			require.Contains(t, row, "`"+name+"`", args[0])
		}
	}
}

// members are the names in a value, but for those of channels.
func members(v any, names []string) []string {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			names = members(e, names)
		}
	case map[string]any:
		for name, e := range v {
			names = append(names, name)
			if name != "elements" {
				names = members(e, names)
			}
		}
	}
	return names
}

// section is what stands below a heading.
func section(t *testing.T, page, heading string) string {
	_, text, ok := strings.Cut(page, heading+"\n")
	require.True(t, ok, heading)
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// codesOf are those that errors end with.
func codesOf(t *testing.T) (all []int) {
	for _, c := range codes {
		all = append(all, c.code)
	}
	require.NotEmpty(t, all)
	return all
}

// quoted parts words as a shell does, single quotes among them.
func quoted(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}
