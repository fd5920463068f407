package sink_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
)

// TestFolder: an engine gets every element once, in its order, with the id of its place, and what
// is missing among them.
func TestFolder(t *testing.T) {
	dir := recording(t, 3, 10)
	e := &memory{}
	stats := run(t, e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursorIn(t)}), sink.Config{MaxRows: 7})

	number, gaps := 0, 0
	for _, r := range e.rows {
		switch {
		case r.notice == "gap":
			gaps++
			require.Contains(t, r.raw, `"cause":"EOF 1"`)
		case r.notice == "":
			require.Equal(t, sinktest.Element(number), r.raw)
			require.Equal(t, "T", r.channel)
			require.Equal(t, sinktest.Symbols[number%len(sinktest.Symbols)], r.symbol)
			require.EqualValues(t, number%3, r.id.Element)
			number++
		}
	}
	require.Equal(t, 90, number)
	require.Equal(t, 3, gaps)
	for _, n := range e.batches {
		require.LessOrEqual(t, n, 7)
	}
	require.EqualValues(t, len(e.rows), stats.Rows)
	require.EqualValues(t, len(e.rows)-90, stats.Notices)
	require.EqualValues(t, len(e.batches), stats.Batches)
	require.EqualValues(t, len(e.batches), stats.Lag.Count())
	require.NotZero(t, stats.Saved)
	require.NotZero(t, stats.Newest)
	require.NotZero(t, stats.Bytes)
	require.Zero(t, stats.Dead+stats.Retries+stats.Skipped+stats.Dropped)
}

// TestRestart: the next run goes on where the engine had confirmed.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	cursor := cursorIn(t)
	e := &memory{}
	next := 0
	for range 3 {
		r := sinktest.NewTape(t, dir, false)
		r.Next = next
		r.Say(20)
		next = r.Said()
		r.End()
		run(t, e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor}), sink.Config{MaxRows: 10})
	}
	requireRows(t, inside(t, dir), e.rows)
	before := len(e.rows)
	run(t, e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor}), sink.Config{})
	require.Len(t, e.rows, before, "there is nothing new")
}

// TestEndSaves: however a run ends, what was confirmed does not come again.
func TestEndSaves(t *testing.T) {
	dir := recording(t, 1, 100)
	want, cursor := inside(t, dir), cursorIn(t)
	e := &memory{}
	for last := 0; len(e.rows) < len(want); last = len(e.rows) {
		ctx, cancel := context.WithCancel(t.Context())
		e.fail = func(*sink.Batch) (int, error) {
			if len(e.rows) < last+100 {
				return 0, nil
			}
			cancel()
			return 0, errDown
		}
		r, err := sink.NewRunner(e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor, Save: time.Hour}), sink.Config{MaxRows: 10})
		require.NoError(t, err)
		err = r.Run(ctx)
		require.True(t, err == nil || errors.Is(err, context.Canceled), err)
		cancel()
	}
	requireRows(t, want, e.rows)
}

var errDown = errors.New("the engine is down")

// TestRandomKills: a runner that is ended at any moment, over an engine that fails at random after
// any part of a batch, gives all of the recording in the end, in its order.
func TestRandomKills(t *testing.T) {
	dir := recording(t, 4, 60)
	want := inside(t, dir)
	for n := range sinktest.Turns(t, 20) {
		random := sinktest.Random(uint64(n))
		cursor := cursorIn(t)
		e := &memory{}
		for over := false; !over; {
			ctx, kill := context.WithCancel(t.Context())
			writes := random.IntN(12)
			e.fail = func(b *sink.Batch) (int, error) {
				if writes--; writes <= 0 {
					kill()
				}
				if random.IntN(3) == 0 {
					return random.IntN(len(b.Rows) + 1), errDown
				}
				return 0, nil
			}
			r, err := sink.NewRunner(e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor, Save: time.Nanosecond}),
				sink.Config{MaxRows: 1 + random.IntN(60), MinWait: time.Nanosecond, MaxWait: time.Nanosecond})
			require.NoError(t, err)
			switch err := r.Run(ctx); {
			case err == nil:
				over = true
			default:
				require.ErrorIs(t, err, context.Canceled)
			}
			kill()
		}
		requireRows(t, want, seenOnce(e.rows), "turn %d", n)
	}
}

// TestCursorBehindEngine: the cursor does not move before the engine has confirmed.
func TestCursorBehindEngine(t *testing.T) {
	dir := recording(t, 1, 10)
	cursor := cursorIn(t)
	ctx, cancel := context.WithCancel(t.Context())
	e := &memory{fail: func(*sink.Batch) (int, error) {
		cancel()
		return 0, errDown
	}}
	r, err := sink.NewRunner(e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor}), sink.Config{})
	require.NoError(t, err)
	require.ErrorIs(t, r.Run(ctx), context.Canceled)
	require.NoFileExists(t, cursor)
	require.ErrorIs(t, r.Run(ctx), sink.ErrRan)
}

// TestTwoRunners: one cursor has one runner.
func TestTwoRunners(t *testing.T) {
	dir := recording(t, 1, 10)
	cursor := cursorIn(t)
	running := make(chan struct{})
	begun := sync.OnceFunc(func() { close(running) })
	first := &memory{fail: func(*sink.Batch) (int, error) {
		begun()
		return 0, nil
	}}
	r, err := sink.NewRunner(first, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor, Follow: time.Millisecond}), sink.Config{})
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- r.Run(t.Context()) }()
	<-running
	dead := filepath.Join(t.TempDir(), "dead") // which is the first runner's too
	second, err := sink.NewRunner(&memory{}, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor}), sink.Config{DeadLetters: dead})
	require.NoError(t, err)
	require.ErrorIs(t, second.Run(t.Context()), sink.ErrInUse)
	require.NoFileExists(t, dead, "nor is anything of the other's touched")
	require.NoError(t, r.Stop(t.Context()))
	require.NoError(t, <-over)
	run(t, &memory{}, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor}), sink.Config{})
}

// TestFollow: what is recorded while the runner runs comes, and Stop writes what was read.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	rec := sinktest.NewTape(t, dir, false)
	rec.Say(1)
	e := &memory{}
	r, err := sink.NewRunner(e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursorIn(t), Follow: time.Millisecond}), sink.Config{Linger: time.Millisecond, MaxRows: 4})
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- r.Run(t.Context()) }()
	for n := 3; n <= 30; n += 6 {
		require.Eventually(t, func() bool { return len(e.all()) >= n }, time.Minute, time.Millisecond)
		rec.Say(2) // the end of a message is in another batch than its beginning
	}
	require.NoError(t, r.Stop(t.Context()))
	require.NoError(t, <-over)
	require.NoError(t, r.Stop(t.Context()), "again")
}

// TestPoison: a row that the engine never takes goes to the dead letters, whether the engine says
// which it is or not, and nothing else does.
func TestPoison(t *testing.T) {
	dir := recording(t, 1, 20)
	want := inside(t, dir)
	poison := func(k kept) bool {
		return strings.Contains(k.raw, `"q":7}`) || strings.Contains(k.raw, `"q":41}`) || k.notice == "gap"
	}
	var alive, dead []kept
	for _, k := range want {
		if poison(k) {
			dead = append(dead, k)
		} else {
			alive = append(alive, k)
		}
	}
	for _, c := range []struct {
		name  string
		names bool // the row
	}{{"unnamed", false}, {"named", true}} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state", "dead.jsonl")
			e := &memory{fail: func(b *sink.Batch) (int, error) {
				for i := range b.Rows {
					if poison(keep(&b.Rows[i])) {
						at := -1
						if c.names {
							at = i
						}
						return 0, sink.Poison(at, errors.New("value out of range"))
					}
				}
				return 0, nil
			}}
			stats := run(t, e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{DeadLetters: path})
			requireRows(t, alive, e.rows)
			require.EqualValues(t, len(dead), stats.Dead)
			require.EqualValues(t, len(alive), stats.Rows)
			lines := deadLetters(t, path)
			require.Len(t, lines, len(dead))
			for i, line := range lines {
				var letter sink.DeadLetter
				require.NoError(t, json.Unmarshal([]byte(line), &letter))
				require.Equal(t, dead[i].id, letter.ID)
				require.Equal(t, dead[i].raw, letter.Raw)
				require.Equal(t, dead[i].symbol, letter.Symbol)
				require.Equal(t, "value out of range", letter.Error)
			}
		})
	}
}

// TestDeadLetters: what cannot be buried ends the run, and a torn line harms no other.
func TestDeadLetters(t *testing.T) {
	dir := recording(t, 1, 4)
	refuse := func(*sink.Batch) (int, error) { return 0, sink.Poison(0, errors.New("no")) }
	for _, c := range []struct {
		name string
		cfg  sink.Config
		want error
	}{
		{"no file", sink.Config{}, &sink.PoisonError{}},
		{"no room", sink.Config{DeadLetters: "dead", MaxDead: 300}, sink.ErrDeadFull},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cfg.DeadLetters != "" {
				c.cfg.DeadLetters = filepath.Join(t.TempDir(), c.cfg.DeadLetters)
			}
			r, err := sink.NewRunner(&memory{fail: refuse}, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), c.cfg)
			require.NoError(t, err)
			err = r.Run(t.Context())
			var poison *sink.PoisonError
			require.True(t, errors.Is(err, c.want) || errors.As(err, &poison), err)
			require.False(t, sink.Retryable(sink.Poison(0, errDown)))
		})
	}
	t.Run("torn", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "dead")
		require.NoError(t, os.WriteFile(path, []byte(`{"id":"sto`), 0o644))
		run(t, &memory{fail: refuse}, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{DeadLetters: path})
		lines := deadLetters(t, path)
		require.Equal(t, `{"id":"sto`, lines[0])
		for _, line := range lines[1:] {
			require.True(t, json.Valid([]byte(line)), line)
		}
	})
}

// TestRetries: waits double up to a bound, are shortened at random by half at most, and the tries
// are counted.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := sink.NewLive(tickstorm.Stocks, 0)
		live.OnMessage([]byte(`[{"ev":"T","sym":"A"}]`), time.Now().UnixNano())
		require.NoError(t, live.Close())
		var at []time.Time
		e := &memory{fail: func(*sink.Batch) (int, error) {
			at = append(at, time.Now())
			return 0, errDown
		}}
		r, err := sink.NewRunner(e, live, sink.Config{MaxTries: 6, MinWait: time.Second, MaxWait: 5 * time.Second})
		require.NoError(t, err)
		err = r.Run(t.Context())
		var attempts *sink.AttemptsError
		require.ErrorAs(t, err, &attempts)
		require.ErrorIs(t, err, errDown)
		require.Equal(t, 6, attempts.Tries)
		whole := 0
		for i, most := range []time.Duration{1, 2, 4, 5, 5} {
			wait := at[i+1].Sub(at[i])
			require.LessOrEqual(t, wait, most*time.Second)
			require.GreaterOrEqual(t, wait, most*time.Second/2)
			if wait == most*time.Second {
				whole++
			}
		}
		require.Less(t, whole, 5, "of sinks that lost one engine not all come back at once")
		require.EqualValues(t, 5, r.Stats().Retries)
	})
}

// TestPermanent: an error that no other try mends ends the run at once.
func TestPermanent(t *testing.T) {
	dir := recording(t, 1, 4)
	tries := 0
	r, err := sink.NewRunner(&memory{fail: func(*sink.Batch) (int, error) {
		tries++
		return 0, fmt.Errorf("write: %w", sink.Permanent(errDown))
	}}, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{})
	require.NoError(t, err)
	err = r.Run(t.Context())
	require.ErrorIs(t, err, errDown)
	require.Equal(t, 1, tries)
	require.NoError(t, sink.Permanent(nil))
	require.NoError(t, sink.Poison(0, nil))
	require.Equal(t, "the engine is down", sink.Poison(0, errDown).Error())
	require.ErrorIs(t, sink.Poison(0, errDown), errDown)
	require.Contains(t, (&sink.AttemptsError{Tries: 3, Err: errDown}).Error(), "3 tries: the engine is down")
}

// TestBounds: rows wait no longer than Linger, and a row that is longer than a batch is one.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := sink.NewLive(tickstorm.Stocks, 0)
		e := &memory{}
		r, err := sink.NewRunner(e, live, sink.Config{Linger: time.Minute, MaxBytes: 1000})
		require.NoError(t, err)
		over := make(chan error, 1)
		go func() { over <- r.Run(t.Context()) }()

		live.OnMessage([]byte(`[{"ev":"T","sym":"A"}]`), time.Now().UnixNano())
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		require.Empty(t, e.all())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Len(t, e.all(), 1)

		long := `{"ev":"T","sym":"` + strings.Repeat("A", 5000) + `"}`
		live.OnMessage([]byte(`[{"ev":"T","sym":"A"},`+long+`,{"ev":"T","sym":"B"}]`), time.Now().UnixNano())
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []int{1, 1, 1, 1}, e.batches)
		require.NoError(t, r.Stop(t.Context()))
		require.NoError(t, <-over)
	})
}

// TestTails: what is left of a message behind the end of a batch waits no longer than Linger either,
// whoever of reader and writer is faster.
func TestTails(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			live := sink.NewLive(tickstorm.Stocks, 0)
			e := &memory{}
			r, err := sink.NewRunner(e, live, sink.Config{Linger: time.Minute, MaxRows: 4})
			require.NoError(t, err)
			over := make(chan error, 1)
			go func() { over <- r.Run(t.Context()) }()
			for range 2 {
				live.OnMessage([]byte(`[{"ev":"T","sym":"A"},{"ev":"T","sym":"B"},{"ev":"T","sym":"C"}]`), time.Now().UnixNano())
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Len(t, e.all(), 6)
			require.NoError(t, r.Stop(t.Context()))
			require.NoError(t, <-over)
		})
	}
}

// flusher is an engine that confirms nothing in Write.
type flusher struct {
	memory
	flushed int // rows
	fail    func() error
}

func (f *flusher) Flush(context.Context) error {
	if f.fail != nil {
		if err := f.fail(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flushed = len(f.rows)
	return nil
}

// TestFlusher: the cursor moves only behind a Flush.
func TestFlusher(t *testing.T) {
	dir := recording(t, 1, 100)
	want := inside(t, dir)
	cursor := cursorIn(t)
	ctx, cancel := context.WithCancel(t.Context())
	e := &flusher{}
	flushes := 0
	e.fail = func() error {
		if flushes++; flushes == 2 {
			return errDown
		}
		if flushes == 3 {
			cancel()
			return errDown
		}
		return nil
	}
	folder := func() sink.Source {
		return sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor, Save: time.Nanosecond})
	}
	cfg := sink.Config{MaxRows: 10, Linger: time.Hour, FlushRows: 30, MinWait: time.Nanosecond, MaxWait: time.Nanosecond}
	r, err := sink.NewRunner(e, folder(), cfg)
	require.NoError(t, err)
	require.ErrorIs(t, r.Run(ctx), context.Canceled)
	require.Equal(t, 30, e.flushed)
	e.rows = e.rows[:e.flushed] // the rest was in the memory of a process that is gone
	e.fail = nil
	run(t, e, folder(), cfg)
	requireRows(t, want, e.rows)
	require.Equal(t, len(want), e.flushed)
}

// TestRivals: of two recorders of one market in one folder nothing is missed and all is told once,
// wherever a runner that has seen both is restarted.
func TestRivals(t *testing.T) {
	for n := range sinktest.Turns(t, 10) {
		t.Run(strconv.Itoa(n), func(t *testing.T) { rivals(t, sinktest.Random(uint64(n))) })
	}
}

func rivals(t *testing.T, random *rand.Rand) {
	dir := t.TempDir()
	cursor := cursorIn(t)
	a, b := sinktest.NewTape(t, dir, false), sinktest.NewTape(t, dir, false)
	b.Next = 100_000
	a.Say(1)
	b.Say(1)
	e := &memory{}
	for turn := range 4 {
		source := sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor, Follow: time.Millisecond})
		r, err := sink.NewRunner(e, source, sink.Config{MaxRows: 1 + random.IntN(10), Linger: time.Millisecond})
		require.NoError(t, err)
		over := make(chan error, 1)
		go func() { over <- r.Run(t.Context()) }()
		wait := 6
		if turn > 0 {
			a.Say(1 + random.IntN(5))
			b.Say(1 + random.IntN(5))
			wait = random.IntN(a.Said() + b.Said() - 100_000)
		}
		require.Eventually(t, func() bool { return len(e.all()) >= wait }, time.Minute, time.Millisecond)
		require.NoError(t, r.Stop(t.Context()))
		require.NoError(t, <-over)
		a.Say(random.IntN(5))
		b.Say(random.IntN(5))
	}
	a.End()
	b.End()
	run(t, e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor}), sink.Config{})
	numbers := map[string]int{}
	for _, r := range e.rows {
		if r.notice == "" {
			numbers[r.raw]++
		}
	}
	require.Equal(t, a.Said()+b.Said()-100_000, len(numbers))
	for raw, times := range numbers {
		require.Equal(t, 1, times, raw)
	}
}

// TestDamage: what is damaged is told in its place, and a segment that is gone as well.
func TestDamage(t *testing.T) {
	dir := recording(t, 2, 50)
	segments, err := filepath.Glob(filepath.Join(dir, "stocks", "*", "*"))
	require.NoError(t, err)
	require.Len(t, segments, 2)
	whole := inside(t, dir)

	cursor := cursorIn(t)
	ctx, cancel := context.WithCancel(t.Context())
	e := &memory{}
	e.fail = func(*sink.Batch) (int, error) {
		if len(e.rows) >= 30 {
			cancel()
			return 0, errDown
		}
		return 0, nil
	}
	r, err := sink.NewRunner(e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor, Save: 1}), sink.Config{MaxRows: 10, Linger: time.Hour})
	require.NoError(t, err)
	require.ErrorIs(t, r.Run(ctx), context.Canceled)
	e.fail = nil
	require.NoError(t, os.Rename(segments[0], filepath.Join(t.TempDir(), "gone")))
	run(t, e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor}), sink.Config{})
	require.Equal(t, sink.Damaged, e.rows[30].notice)
	require.Equal(t, whole[0].id.Segment, e.rows[30].id.Segment)
	require.Contains(t, e.rows[30].raw, `"market":"stocks"`)
	require.Equal(t, whole[len(whole)-1], e.rows[len(e.rows)-1])

	text, err := os.ReadFile(segments[1])
	require.NoError(t, err)
	text[len(text)/2] ^= 0xff
	require.NoError(t, os.WriteFile(segments[1], text, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"+record.Suffix), []byte("nothing"), 0o644))
	var kinds []string
	for _, k := range inside(t, dir) {
		if k.notice == sink.Damaged {
			kinds = append(kinds, k.id.Damage)
			id, err := sink.ParseID(k.id.String())
			require.NoError(t, err)
			require.Equal(t, k.id, id)
		}
	}
	require.Contains(t, kinds, "no-segment@0")
	require.Greater(t, len(kinds), 1)
}

// TestMessages: what is broken comes too.
func TestMessages(t *testing.T) {
	dir := t.TempDir()
	rec := sinktest.NewTape(t, dir, false)
	for _, msg := range []string{
		`[{"ev":"T","sym":"A"},{"ev":"T",,},7,{"ev":"new","x":1}]`,
		`no array`,
		`[{"ev":"T","sym":"B"}] and more`,
		`[{"ev":"T","sym":"C"`,
		`[]`,
		`{"ev":"T","sym":"D"}`,
	} {
		rec.OnMessage([]byte(msg), time.Now().UnixNano())
	}
	rec.End()
	var got []string
	for _, k := range inside(t, dir) {
		got = append(got, fmt.Sprintf("%d:%d %s %s|%s %s", k.id.Sequence, k.id.Element, k.channel, k.symbol, k.notice, k.raw))
	}
	require.Equal(t, []string{
		`0:0 T A| {"ev":"T","sym":"A"}`,
		`0:1 T | {"ev":"T",,}`,
		`0:2  | 7`,
		`0:3 new | {"ev":"new","x":1}`,
		`1:0  | no array`,
		`2:0 T B| {"ev":"T","sym":"B"}`,
	}, got[:6])
	require.Contains(t, got[6], "2:1  |broken {")
	require.Equal(t, []string{`3:0  | {"ev":"T","sym":"C"`, `5:0 T D| {"ev":"T","sym":"D"}`}, got[7:9])
}

// TestSince: without a cursor reading begins where it was asked for, with one where that says.
func TestSince(t *testing.T) {
	dir := recording(t, 1, 10)
	cursor := cursorIn(t)
	e := &memory{}
	all := inside(t, dir)
	var last sink.Stamp
	last, err := sink.ParseStamp(all[12].stamp, nil)
	require.NoError(t, err)
	since := time.Unix(0, last.Received)
	run(t, e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor, Since: since}), sink.Config{})
	requireRows(t, all[12:], e.rows)
	e = &memory{}
	run(t, e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: cursor, Since: time.Unix(0, 1)}), sink.Config{})
	require.Empty(t, e.rows)
}

// TestBadFiles: a cursor that cannot be read is an error, and not a beginning.
func TestBadFiles(t *testing.T) {
	dir := recording(t, 1, 2)
	for name, text := range map[string]string{"no JSON": "x", "another version": `{"version":2}`, "no cursor": `{"version":1,"open":[{"cursor":"x"}]}`} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cursor")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
			for range 2 { // and the lock is given back
				r, err := sink.NewRunner(&memory{}, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: path}), sink.Config{})
				require.NoError(t, err)
				err = r.Run(t.Context())
				require.Error(t, err)
				require.NotErrorIs(t, err, sink.ErrInUse)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "cursor")
	r, err := sink.NewRunner(&memory{}, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: path}), sink.Config{DeadLetters: t.TempDir()})
	require.NoError(t, err)
	require.Error(t, r.Run(t.Context()), "a folder is no file")
	run(t, &memory{}, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Cursor: path}), sink.Config{}) // the lock is given back
	_, err = sink.NewRunner(nil, nil, sink.Config{})
	require.ErrorIs(t, err, sink.ErrNothing)
	_, err = sink.NewRunner(&memory{}, sink.NewLive(tickstorm.Stocks, 0), sink.Config{MaxRows: -1})
	require.Error(t, err)
	_, err = sink.NewRunner(&memory{}, sink.NewLive(tickstorm.Stocks, 0), sink.Config{MinWait: 2, MaxWait: 1})
	require.Error(t, err)
	r, err = sink.NewRunner(&memory{}, sink.NewFolder(sink.FolderConfig{Paths: []string{filepath.Join(dir, "none")}}), sink.Config{})
	require.NoError(t, err)
	require.ErrorIs(t, r.Run(t.Context()), os.ErrNotExist)
}
