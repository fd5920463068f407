package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// demoFolder has a recording, and returns its elements, as JSON and sorted.
func demoFolder(t *testing.T) (dir string, elements []string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.Rename(demo(t, newScene(t)), filepath.Join(dir, "a.tsr.zst")))
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "convert", dir), s.err)
	elements = lines(s.out)
	require.NotEmpty(t, elements)
	return dir, elements
}

// lines are those of an output, sorted.
func lines(outputs ...*buffer) []string {
	var all []string
	for _, o := range outputs {
		all = append(all, strings.Fields(o.String())...)
	}
	slices.Sort(all)
	return all
}

// sunkElements is how many elements a sink says that it has taken.
func sunkElements(t *testing.T, s *scene) int {
	found := regexp.MustCompile(`(\d+) elements in`).FindStringSubmatch(s.err.String())
	require.NotNil(t, found, s.err)
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}

// sunkLive runs a sink of a connection for a moment, and again where none of what comes has come in that, as on a
// machine that is busy elsewhere. It returns the last run, and how many elements all have taken.
func sunkLive(t *testing.T, came func() bool, args ...string) (s *scene, sunk int) {
	t.Helper()
	for begun := time.Now(); sunk == 0 || !came(); {
		require.Less(t, time.Since(begun), patience, "nothing comes")
		s = newScene(t)
		require.Equal(t, exitOK, s.run(t, append(args, "--for", "300ms")...), s.err)
		sunk += sunkElements(t, s)
	}
	return s, sunk
}

// consumers run verbs until their outputs have so many lines, and then interrupts them.
func consumers(t *testing.T, engine string, want int, commands ...[]string) (outputs []*buffer) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	codes := make(chan int, len(commands))
	var scenes []*scene
	for _, args := range commands {
		s := newScene(t)
		scenes, outputs = append(scenes, s), append(outputs, s.out)
		go func() { codes <- run(ctx, append([]string{"consume", engine}, args...), s.world) }()
	}
	require.Eventually(t, func() bool { return len(lines(outputs...)) >= want }, patience, 10*time.Millisecond, "%s", scenes[0].err)
	cancel(errInterrupted)
	for range commands {
		require.Equal(t, exitInterrupted, <-codes, scenes[0].err)
	}
	return outputs
}

// throughFolder requires that what was recorded comes out of an engine, which is found with to, each
// element once, whoever shares the work and however often the sink runs. Stored is how much the engine has;
// the first sink has arguments of its own.
func throughFolder(t *testing.T, engine string, stored func() int, to []string, first ...string) {
	t.Helper()
	dir, want := demoFolder(t)
	cursor := filepath.Join(t.TempDir(), "cursor")
	to = append(to, "--partitions", "4")
	sinks := func(args ...string) int {
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, slices.Concat([]string{"sink", engine, "--from", dir, "--follow", "0"}, to, args)...), s.err)
		return sunkElements(t, s)
	}
	require.Equal(t, len(want), sinks(append(first, "--cursor", cursor, "--dead", filepath.Join(t.TempDir(), "dead"))...))
	before := stored()
	require.Zero(t, sinks("--cursor", cursor), "the cursor is behind all")
	sinks()
	require.Equal(t, before, stored(), "what the engine has is not stored twice")

	args := append([]string{"-f", "json"}, to...)
	require.Equal(t, want, lines(consumers(t, engine, len(want), args, args)...), "two share the work")
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, slices.Concat([]string{"consume", engine, "--for", "1s"}, args)...), s.err)
	require.Empty(t, s.out.String(), "a group sees all once")

	trades := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return !strings.Contains(line, `"ev":"T"`) })
	others := append([]string{"--group", "others", "--watermarks", filepath.Join(t.TempDir(), "marks")}, args...)
	some := newScene(t)
	require.Equal(t, exitOK, some.run(t, slices.Concat([]string{"consume", engine, "-n", "3"}, others, []string{"T.*"})...), some.err)
	require.Len(t, lines(some.out), 3)
	rest := consumers(t, engine, len(trades)-3, append(others, "T.*"))
	require.Equal(t, trades, slices.Compact(lines(some.out, rest[0])), "what was cut off comes to the next")
}

// end is how a command ends, and what it says then.
type end struct {
	args string
	code int
	says string
}

// ends requires that commands end so, and say no secret.
func ends(t *testing.T, table []end, secrets ...string) {
	t.Helper()
	for _, c := range table {
		s := newScene(t)
		require.Equal(t, c.code, s.run(t, strings.Fields(c.args)...), "%s: %s", c.args, s.err)
		require.Contains(t, s.err.String(), c.says, c.args)
		for _, secret := range secrets {
			require.NotContains(t, s.err.String(), secret, c.args)
		}
	}
}
