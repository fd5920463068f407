package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

// The program is the test binary started again with this in its environment, and killsVariable
// says how many times it is killed.
const (
	mainVariable  = "TICKSTORM_RECORD_MAIN"
	killsVariable = "TICKSTORM_KILLS"
)

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is the program with these arguments, with the simulator whatever keys there are.
func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MASSIVE_API_KEY=") && !strings.HasPrefix(v, "POLYGON_API_KEY=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, mainVariable+"=1")
	return cmd
}

// TestRun: the program records all, closes its segments, and says so.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	out, err := program(t.Context(), "-dir", dir, "-for", "1s", "-rate", "20000", "-rotate", "300ms", "-decode", "-every", "100ms").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Regexp(t, `recorded [1-9]\d* messages, .* 0 dropped, 0 lost, 0 errors`, string(out))
	require.Regexp(t, `; [1-9]\d* events decoded, 0 dropped`, string(out))
	r := audit(t, dir)
	require.Empty(t, r.damages)
	require.Contains(t, string(out), fmt.Sprintf("recorded %d messages", r.messages))
	require.Greater(t, len(files(t, dir)), 2)
	for name := range files(t, dir) {
		require.True(t, strings.HasSuffix(name, record.Suffix), name)
	}
}

// TestKill kills the program at seeded moments, twice in each folder. What it has said was
// written is there, so is what was received longer ago than a message may stay in memory, nothing
// is missing before and nothing is there twice; and the second recording leaves the first as it
// was.
func TestKill(t *testing.T) {
	kills := 10
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		kills, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	for n := range (kills + 1) / 2 {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			if n%4 != 0 { // the others beside it
				t.Parallel()
			}
			moments := rand.New(rand.NewPCG(14, uint64(n)))
			dir := t.TempDir()
			before := map[string][sha256.Size]byte{}
			for range 2 {
				after := time.Duration(moments.Int64N(int64(3 * time.Second)))
				said := kill(t, dir, after)
				now := files(t, dir)
				for name, sum := range before {
					require.Equal(t, sum, now[name], "%s was changed", name)
				}
				var added []string
				for name := range now {
					if _, old := before[name]; !old {
						added = append(added, name)
					}
				}
				before = now
				said.check(t, audit(t, added...))
			}
		})
	}
}

const (
	flush = 100 * time.Millisecond
	// patience is what a busy machine may need beyond flush to let the program do its work.
	patience = 2 * time.Second
)

// report is what the program said until it was killed.
type report struct {
	lines  []line
	killed time.Time
}

type line struct {
	at                time.Time
	received, written uint64
}

// kill starts the program and kills it so long after its first message.
func kill(t *testing.T, dir string, after time.Duration) (r report) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := program(ctx, "-dir", dir, "-for", "1m", "-rate", "20000", "-every", "20ms", "-flush", flush.String(), "-rotate", "400ms")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var timer *time.Timer
	killed := make(chan time.Time, 1)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var l line
		var at int64
		if n, _ := fmt.Sscanf(lines.Text(), "%d: %d messages received, %d written,", &at, &l.received, &l.written); n < 3 {
			continue
		}
		l.at = time.Unix(0, at)
		r.lines = append(r.lines, l)
		if timer == nil && l.received > 0 {
			timer = time.AfterFunc(after, func() {
				killed <- time.Now()
				_ = cmd.Process.Kill()
			})
		}
	}
	require.Error(t, cmd.Wait())
	require.NoError(t, ctx.Err(), "no message came")
	r.killed = <-killed
	return r
}

func (r *report) check(t *testing.T, found findings) {
	for _, l := range r.lines {
		require.LessOrEqual(t, l.written, found.messages, "was said to be written")
		if r.killed.Sub(l.at) > flush+patience {
			require.LessOrEqual(t, l.received, found.messages, "was received %v before the end", r.killed.Sub(l.at))
		}
	}
	for _, d := range found.damages {
		switch d.Reason {
		case record.Torn, record.Unfinished:
		case record.NoSegment: // the file of the next one, or one that was just begun
			info, err := os.Stat(d.Path)
			require.NoError(t, err)
			require.Less(t, info.Size(), int64(1000), d.Error())
		default:
			t.Error(d)
		}
	}
}

// findings are what is in a recording.
type findings struct {
	messages uint64
	damages  []*record.Damage
}

// audit reads a recording and holds it against the simulator's numbers.
func audit(t *testing.T, paths ...string) (f findings) {
	reader, err := record.Open(paths...)
	require.NoError(t, err)
	defer reader.Close()
	var books sim.Audit
	parser := tickstorm.NewParser(tickstorm.Stocks)
	for e, err := range reader.All(t.Context()) {
		require.NoError(t, err)
		switch {
		case e.Damage != nil:
			f.damages = append(f.damages, e.Damage)
		case e.Control != nil:
			require.NotEqual(t, record.Dropped, e.Control.Kind)
		default:
			f.messages++
			require.NoError(t, parser.Parse(e.Raw, &books))
		}
	}
	r := books.Report()
	require.NoError(t, r.Err())
	if r.Events > 0 {
		require.EqualValues(t, 1, r.First)
		require.EqualValues(t, r.Events, r.Last)
	}
	return f
}

// files are the files in a folder, with their sums.
func files(t *testing.T, dir string) map[string][sha256.Size]byte {
	sums := map[string][sha256.Size]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			sums[path] = sha256.Sum256(b)
		}
		return nil
	}))
	return sums
}
