package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// tape is a recorder of a test's, with what it has told.
type tape struct {
	*Recorder
	t      *testing.T
	dir    string
	mu     sync.Mutex
	events []RecorderEvent
}

// newTape starts a recorder. One that is not closed by the end is closed then.
func newTape(t *testing.T, change func(*Config)) *tape {
	t.Helper()
	tp := &tape{t: t, dir: t.TempDir()}
	cfg := Config{Dir: tp.dir, Market: tickstorm.Stocks, Buffer: minBuffer, MinFree: -1, OnEvent: func(e RecorderEvent) {
		tp.mu.Lock()
		defer tp.mu.Unlock()
		tp.events = append(tp.events, e)
	}}
	if change != nil {
		change(&cfg)
	}
	tp.dir = cfg.Dir
	var err error
	tp.Recorder, err = NewRecorder(cfg)
	require.NoError(t, err)
	require.NoError(t, tp.Start())
	t.Cleanup(func() { _ = tp.Close(context.Background()) })
	return tp
}

// say has the recorder get a message that is a number, now.
func (tp *tape) say(numbers ...int) {
	for _, n := range numbers {
		tp.OnMessage(fmt.Appendf(nil, `[{"ev":"T","q":%d}]`, n), time.Now().UnixNano())
	}
}

func (tp *tape) told(kind EventKind) (events []RecorderEvent) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, e := range tp.events {
		if e.Kind == kind {
			events = append(events, e)
		}
	}
	return events
}

// segments are the files of a market's folder, in the order of their names.
func (tp *tape) segments() (names []string) {
	require.NoError(tp.t, filepath.WalkDir(tp.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			name, err := filepath.Rel(tp.dir, path)
			require.NoError(tp.t, err)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	}))
	return names
}

// lines are what is in the segments, without headers: a message's number, or a control's kind
// with what it says.
func (tp *tape) lines() (all []string) {
	tp.t.Helper()
	for _, name := range tp.segments() {
		b, err := os.ReadFile(filepath.Join(tp.dir, name))
		require.NoError(tp.t, err)
		if len(b) == 0 {
			continue // one that was made ahead
		}
		for _, line := range strings.Split(strings.TrimSuffix(unpack(tp.t, b), "\n"), "\n")[1:] {
			if text, ok := strings.CutPrefix(line, "#"); ok {
				c, err := parseControl([]byte(text))
				require.NoError(tp.t, err)
				line = string(c.Kind)
				if c.Count > 0 {
					line += " " + strconv.FormatUint(c.Count, 10)
				}
				if c.Kind == Subscribed {
					line += " " + strings.Join(c.Topics, ",")
				}
				if c.Cause != "" {
					line += ": " + c.Cause
				}
			} else {
				_, line, _ = strings.Cut(line, `"q":`)
				line, _, _ = strings.Cut(line, "}")
			}
			all = append(all, line)
		}
	}
	return all
}

// messages are the numbers among the lines.
func (tp *tape) messages() (numbers []int) {
	for _, line := range tp.lines() {
		if n, err := strconv.Atoi(line); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

func upTo(n int) (numbers []int) {
	for i := range n {
		numbers = append(numbers, i+1)
	}
	return numbers
}

func (tp *tape) end() {
	tp.t.Helper()
	require.NoError(tp.t, tp.Close(context.Background()))
}

// TestRecorder: messages and controls are in the file in their order, under its final name.
func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := newTape(t, func(c *Config) { c.Topics = []tickstorm.Topic{{Channel: "T", Symbol: "*"}} })
		at := func(s tickstorm.State, err error) *tickstorm.StateChange {
			return &tickstorm.StateChange{State: s, At: time.Now(), Err: err}
		}
		ack := func(topics string) {
			tp.OnMessage([]byte(`[{"ev":"status","status":"success","message":"subscribed to: `+topics+`"},{"q":0}]`), time.Now().UnixNano())
		}
		tp.OnState(at(tickstorm.StateConnecting, nil))
		tp.OnState(at(tickstorm.StateBackoff, errors.New("nobody there")))
		tp.OnState(at(tickstorm.StateSubscribing, nil))
		ack("T.A,Q.A")
		tp.OnState(at(tickstorm.StateStreaming, nil))
		tp.say(1, 2)
		ack("Q.B")
		tp.say(3)
		tp.OnState(at(tickstorm.StateBackoff, errors.New("cable")))
		tp.OnState(at(tickstorm.StateStreaming, nil))
		tp.OnGap(&tickstorm.Gap{Cause: errors.New("cable"), Topics: []tickstorm.Topic{{Channel: "T", Symbol: "A"}}, To: tickstorm.Moment{Received: time.Now()}})
		tp.say(4)
		tp.OnState(at(tickstorm.StateClosed, nil))
		tp.end()
		require.Equal(t, []string{
			"status: nobody there", "up", "0", "subscribed Q.A,T.A", "1", "2", "0", "subscribed Q.A,Q.B,T.A", "3", "down: cable",
			"up", "subscribed T.*", "gap: cable", "4", "down", "status",
		}, tp.lines())
		require.Equal(t, []string{"stocks/2000-01-01/stocks-20000101T000000.000Z-000001.tsr.zst"}, tp.segments())
		stats := tp.Stats()
		require.EqualValues(t, 6, stats.Messages)
		require.EqualValues(t, 1, stats.Segments)
		info, err := os.Stat(filepath.Join(tp.dir, tp.segments()[0]))
		require.NoError(t, err)
		require.EqualValues(t, info.Size(), stats.Written)
		require.Zero(t, stats.Errors+stats.Dropped+stats.Lost)
		require.Zero(t, stats.Buffered)

		tp.say(5)
		require.EqualValues(t, 1, tp.Stats().Dropped, "after Close")
		require.ErrorIs(t, tp.Start(), ErrStarted)
		tp.end()
	})
}

// TestRecorderFlush: nothing older than Flush is missing from the file at any time.
func TestRecorderFlush(t *testing.T) {
	for _, flush := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		t.Run(flush.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tp := newTape(t, func(c *Config) { c.Flush, c.Sync = flush, SyncNever })
				for n := range 40 {
					tp.say(n + 1)
					time.Sleep(flush / 7)
					synctest.Wait()
					require.GreaterOrEqual(t, len(tp.messages()), n-6, "of seven a Flush")
					require.GreaterOrEqual(t, int(tp.Stats().Messages), n-6)
				}
				require.Less(t, time.Now().UnixNano()-tp.Stats().Newest, int64(flush+flush/7))
				time.Sleep(flush)
				synctest.Wait()
				require.Equal(t, upTo(40), tp.messages())
				require.Len(t, tp.segments(), 1)
				require.True(t, strings.HasSuffix(tp.segments()[0], PartSuffix))
			})
		})
	}
}

// TestRecorderRotation: segments end by time and by size, and nothing is lost or twice where
// they do.
func TestRecorderRotation(t *testing.T) {
	t.Run("time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tp := newTape(t, func(c *Config) { c.Rotate = 10 * time.Second })
			for n := range 45 {
				tp.say(n + 1)
				time.Sleep(time.Second)
			}
			tp.end()
			require.Equal(t, upTo(45), tp.messages())
			require.Equal(t, []string{
				"stocks/2000-01-01/stocks-20000101T000000.000Z-000001.tsr.zst", "stocks/2000-01-01/stocks-20000101T000010.000Z-000002.tsr.zst",
				"stocks/2000-01-01/stocks-20000101T000020.000Z-000003.tsr.zst", "stocks/2000-01-01/stocks-20000101T000030.000Z-000004.tsr.zst",
				"stocks/2000-01-01/stocks-20000101T000040.000Z-000005.tsr.zst",
			}, tp.segments())
			require.EqualValues(t, 5, tp.Stats().Segments)
		})
	})
	t.Run("size", func(t *testing.T) {
		tp := newTape(t, func(c *Config) { c.RotateSize = 1000; c.Flush = minFlush })
		for n := range 120 {
			tp.say(n + 1)
			if n%10 == 9 {
				require.Eventually(t, func() bool { return tp.Stats().Messages == uint64(n+1) }, time.Minute, time.Millisecond)
			}
		}
		tp.end()
		require.Equal(t, upTo(120), tp.messages())
		require.Greater(t, len(tp.segments()), 2)
	})
	t.Run("the day", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tp := newTape(t, func(c *Config) { c.Rotate = 7 * time.Hour })
			for n := range 26 {
				tp.say(n + 1)
				time.Sleep(time.Hour)
			}
			tp.end()
			require.Equal(t, upTo(26), tp.messages())
			require.Equal(t, []string{
				"stocks/2000-01-01/stocks-20000101T000000.000Z-000001.tsr.zst", "stocks/2000-01-01/stocks-20000101T070000.000Z-000002.tsr.zst",
				"stocks/2000-01-01/stocks-20000101T140000.000Z-000003.tsr.zst", "stocks/2000-01-01/stocks-20000101T210000.000Z-000004.tsr.zst",
				"stocks/2000-01-02/stocks-20000102T000000.000Z-000001.tsr.zst",
			}, tp.segments())
		})
	})
	t.Run("nothing comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tp := newTape(t, func(c *Config) { c.Rotate = time.Minute })
			tp.say(1)
			time.Sleep(time.Hour)
			synctest.Wait()
			require.Len(t, tp.segments(), 2, "one, and the next that was made ahead: %v", tp.segments())
			tp.say(2)
			tp.end()
			require.Equal(t, upTo(2), tp.messages())
			require.Equal(t, []string{
				"stocks/2000-01-01/stocks-20000101T000000.000Z-000001.tsr.zst", "stocks/2000-01-01/stocks-20000101T010000.000Z-000003.tsr.zst",
			}, tp.segments())
		})
	})
	t.Run("a clock that steps", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tp := newTape(t, func(c *Config) { c.Rotate = time.Minute })
			now := time.Now()
			for n, step := range []time.Duration{0, 61 * time.Second, 30 * time.Second, 48 * time.Hour, 2 * time.Hour, time.Hour, -90 * 365 * 24 * time.Hour, 0} {
				tp.OnMessage(fmt.Appendf(nil, `[{"q":%d}]`, n+1), now.Add(step).UnixNano())
			}
			tp.end()
			numbers := tp.messages() // by their names, which follow the clock
			slices.Sort(numbers)
			require.Equal(t, upTo(8), numbers)
			require.EqualValues(t, 7, tp.Stats().Segments, "back by less than a minute is no new one: %v", tp.segments())
		})
	})
}

func TestWindow(t *testing.T) {
	day := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at                time.Time
		step, from, until time.Duration
	}{
		{day, time.Hour, 0, time.Hour},
		{day.Add(time.Hour - 1), time.Hour, 0, time.Hour},
		{day.Add(time.Hour), time.Hour, time.Hour, 2 * time.Hour},
		{day.Add(23 * time.Hour), 7 * time.Hour, 21 * time.Hour, 24 * time.Hour},
		{day.Add(5 * time.Hour), 24 * time.Hour, 0, 24 * time.Hour},
	} {
		from, until := window(c.at.UnixNano(), c.step)
		require.Equal(t, c.from, time.Unix(0, from).Sub(day))
		require.Equal(t, c.until, time.Unix(0, until).Sub(day))
	}
	from, until := window(-5, time.Hour)
	require.Zero(t, from)
	require.Equal(t, int64(time.Hour), until)
}

// TestRecorderRestart: what is there is neither written over nor appended to, whatever it is.
func TestRecorderRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		day := filepath.Join(dir, "stocks", "2000-01-01")
		require.NoError(t, os.MkdirAll(day, 0o755))
		there := map[string]string{
			"stocks-19991231T235900.000Z-000041.tsr.zst.part": "of a crash",
			"stocks-20000101T000000.000Z-000001.tsr.zst":      "closed",
			"options-20000101T000000.000Z-000099.tsr.zst":     "another market's",
			"stocks-20000101T000000.000Z-000099.tsr":          "of another form",
		}
		for name, text := range there {
			require.NoError(t, os.WriteFile(filepath.Join(day, name), []byte(text), 0o600))
		}
		one := newTape(t, func(c *Config) { c.Dir = dir })
		two := newTape(t, func(c *Config) { c.Dir = dir })
		one.say(1)
		two.say(1)
		one.end()
		two.end()
		for name, text := range there {
			b, err := os.ReadFile(filepath.Join(day, name))
			require.NoError(t, err)
			require.Equal(t, text, string(b))
		}
		require.FileExists(t, filepath.Join(day, "stocks-20000101T000000.000Z-000042.tsr.zst"))
		require.FileExists(t, filepath.Join(day, "stocks-20000101T000000.000Z-000043.tsr.zst"))
		require.Len(t, one.segments(), len(there)+2)
	})
}

// badDisk is a disk on which something fails.
type badDisk struct {
	disk
	mu   sync.Mutex
	fail func(op, path string) error
	free uint64
	torn int // bytes that a write that fails has written
}

func (d *badDisk) refuse(op, path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail == nil {
		return nil
	}
	return d.fail(op, path)
}

func (d *badDisk) set(fail func(op, path string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

func (d *badDisk) setFree(n uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = n
}

func (d *badDisk) MkdirAll(dir string) error {
	return errors.Join(d.refuse("mkdir", dir), d.disk.MkdirAll(dir))
}

func (d *badDisk) Rename(from, to string) error {
	if err := d.refuse("rename", from); err != nil {
		return err
	}
	return d.disk.Rename(from, to)
}

func (d *badDisk) SyncDir(dir string) error { return d.refuse("syncdir", dir) }

func (d *badDisk) Free(dir string) (uint64, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.free, true, nil
}

func (d *badDisk) Create(path string) (file, error) {
	if err := d.refuse("create", path); err != nil {
		return nil, err
	}
	f, err := d.disk.Create(path)
	return &badFile{f, d, path}, err
}

type badFile struct {
	file
	disk *badDisk
	path string
}

func (f *badFile) Write(b []byte) (int, error) {
	if err := f.disk.refuse("write", f.path); err != nil {
		n, _ := f.file.Write(b[:min(f.disk.torn, len(b))])
		return n, err
	}
	return f.file.Write(b)
}

func (f *badFile) Sync() error { return f.disk.refuse("sync", f.path) }

// TestRecorderFaults: whatever fails once is told, and nothing is lost; what was torn is gone.
func TestRecorderFaults(t *testing.T) {
	for _, c := range []struct {
		op   string
		err  error
		torn int
		full bool
		last bool // at the end
	}{
		{op: "write", err: syscall.ENOSPC, full: true},
		{op: "write", err: syscall.ENOSPC, torn: 200, full: true},
		{op: "write", err: syscall.EIO, torn: 1 << 20},
		{op: "write", err: syscall.EDQUOT, full: true},
		{op: "sync", err: syscall.EIO},
		{op: "create", err: syscall.EMFILE},
		{op: "mkdir", err: syscall.EROFS},
		{op: "rename", err: syscall.EACCES, last: true},
		{op: "syncdir", err: syscall.EIO, last: true},
	} {
		t.Run(fmt.Sprintf("%s %v %d", c.op, c.err, c.torn), func(t *testing.T) {
			for _, sync := range []Sync{SyncInterval, SyncFrame} {
				synctest.Test(t, func(t *testing.T) {
					d := &badDisk{torn: c.torn}
					tp := newTape(t, func(cfg *Config) { cfg.fs, cfg.Sync, cfg.Rotate = d, sync, time.Minute })
					failed := false
					fail := func(op, _ string) error {
						if op != c.op || failed {
							return nil
						}
						failed = true
						return c.err
					}
					for n := range 100 {
						if n == 50 {
							d.set(fail)
						}
						tp.say(n + 1)
						time.Sleep(time.Second)
					}
					synctest.Wait()
					require.True(t, failed)
					require.Len(t, tp.told(EventError), 1)
					err := tp.told(EventError)[0].Err
					var refused *WriteError
					require.ErrorAs(t, err, &refused)
					require.ErrorIs(t, err, c.err)
					require.Equal(t, c.full, errors.Is(err, ErrDiskFull))
					require.NotEmpty(t, refused.Path)
					require.EqualValues(t, 1, tp.Stats().Errors)
					tp.end()
					require.Equal(t, upTo(100), tp.messages())
					require.EqualValues(t, 100, tp.Stats().Messages)
				})
			}
		})
	}
}

// TestRecorderBrokenDisk: a disk that stays broken is tried again with growing waits, keeps what
// has room, counts the rest, and goes on when it is well.
func TestRecorderBrokenDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &badDisk{torn: 10}
		tp := newTape(t, func(cfg *Config) { cfg.fs = d })
		tp.say(upTo(10)...)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		d.set(func(op, _ string) error {
			if op == "write" {
				return syscall.ENOSPC
			}
			return nil
		})
		const room = minBuffer / 48 // messages
		for n := 10; n < 2*room; n++ {
			tp.say(n + 1)
			if n%1000 == 0 {
				time.Sleep(time.Second)
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Less(t, len(tp.told(EventError)), 60, "not once a moment")
		require.Greater(t, len(tp.told(EventError)), 20, "but over and over")
		require.Len(t, tp.segments(), 1, "what has no message in it goes")
		dropped := tp.Stats().Dropped
		require.NotZero(t, dropped)
		d.set(nil)
		time.Sleep(time.Minute)
		tp.say(1_000_000)
		tp.end()
		kept := int(2*room - dropped)
		require.Equal(t, append(upTo(kept), 1_000_000), tp.messages())
		require.Contains(t, tp.lines(), fmt.Sprintf("dropped %d: buffer full", dropped))
		var told uint64
		for _, e := range tp.told(EventDropped) {
			told += e.Count
		}
		require.Equal(t, dropped, told)
		require.Zero(t, tp.Stats().Lost)
	})
}

// TestRecorderLost: what cannot be written by the end is counted, and Close says so.
func TestRecorderLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &badDisk{}
		tp := newTape(t, func(cfg *Config) { cfg.fs = d })
		tp.say(1, 2, 3)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		d.set(func(string, string) error { return syscall.EIO })
		tp.say(4, 5)
		err := tp.Close(t.Context())
		require.ErrorIs(t, err, syscall.EIO)
		require.EqualValues(t, 2, tp.Stats().Lost)
		require.Len(t, tp.told(EventLost), 1)
		require.EqualValues(t, 2, tp.told(EventLost)[0].Count)
		require.Equal(t, upTo(3), tp.messages())
	})
}

// TestRecorderLowSpace: below the minimum the segment is closed, and recording goes on when
// there is more.
func TestRecorderLowSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &badDisk{free: 200}
		tp := newTape(t, func(cfg *Config) { cfg.fs, cfg.MinFree = d, 100 })
		tp.say(1)
		time.Sleep(5 * time.Second)
		d.setFree(99)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		tp.say(2)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, tp.segments(), 1)
		require.True(t, strings.HasSuffix(tp.segments()[0], Suffix), "closed")
		require.Len(t, tp.told(EventLowSpace), 1, "told once")
		var low *SpaceError
		require.ErrorAs(t, tp.told(EventLowSpace)[0].Err, &low)
		require.Equal(t, SpaceError{tp.dir, 99, 100}, *low)
		require.ErrorIs(t, low, ErrDiskFull)
		d.setFree(100)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Len(t, tp.told(EventResumed), 1)
		tp.end()
		require.Equal(t, upTo(2), tp.messages())
		b, err := os.ReadFile(filepath.Join(tp.dir, tp.segments()[0]))
		require.NoError(t, err)
		require.Regexp(t, `"text":"record: [^"]+, at 2000-01-01T00:00:(0[5-9]|10)[.0-9]*Z"`, unpack(t, b), "whenever the last line was")

		d.setFree(5)
		r, err := NewRecorder(Config{Dir: tp.dir, Market: tickstorm.Stocks, MinFree: 100, fs: d})
		require.NoError(t, err)
		require.ErrorIs(t, r.Start(), ErrDiskFull)
		d.setFree(500)
		require.NoError(t, r.Start(), "it can be called again")
		require.NoError(t, r.Close(t.Context()))
	})
}

// TestRecorderVanished: a folder that is removed is noticed, and made again.
func TestRecorderVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := newTape(t, func(cfg *Config) { cfg.Dir = filepath.Join(cfg.Dir, "recordings") })
		tp.say(1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.NoError(t, os.RemoveAll(tp.dir))
		time.Sleep(2 * time.Second)
		tp.say(2, 3)
		tp.end()
		require.Equal(t, []int{2, 3}, tp.messages())
		require.Len(t, tp.told(EventError), 1)
		require.ErrorIs(t, tp.told(EventError)[0].Err, fs.ErrNotExist)
	})
}

// TestRecorderRetention: only closed segments of the market go, the oldest first.
func TestRecorderRetention(t *testing.T) {
	foreign := []string{
		"notes.txt", "stocks/readme", "stocks/2000-01-01/stocks-20000101T000000.000Z-000001.tsr.zst.part",
		"stocks/2000-01-01/stocks-20000101T000000.000Z-000002.tsr.zst.bak", "stocks/2000-01-01/options-20000101T000000.000Z-000003.tsr.zst",
		"stocks/old/stocks-20000101T000000.000Z-000004.tsr.zst", "options/2000-01-01/options-20000101T000000.000Z-000001.tsr.zst",
		"stocks-20000101T000000.000Z-000005.tsr.zst", "stocks/2000-01-01/stocks-20000101T000000.000Z-1.tsr.zst",
	}
	old := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		set   func(*Config)
		stays int // of five
	}{
		{"by age", func(c *Config) { c.KeepFor = 10 * 24 * time.Hour }, 2},
		{"by size", func(c *Config) { c.KeepTotal = 3500 }, 3},
		{"by both", func(c *Config) { c.KeepTotal, c.KeepFor = 3500, 10*24*time.Hour }, 2},
		{"by neither", func(*Config) {}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			put := func(name string, size int, at time.Time) {
				path := filepath.Join(dir, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, make([]byte, size), 0o600))
				require.NoError(t, os.Chtimes(path, at, at))
			}
			for _, name := range foreign {
				put(name, 1<<20, old)
			}
			now := time.Now().UTC()
			for n := range 5 {
				at := now.AddDate(0, 0, -21+5*n) // 21, 16, 11, 6 days ago, and yesterday
				put(fmt.Sprintf("stocks/%s/stocks-%s-%06d.tsr.zst", at.Format(dayFormat), at.Format("20060102T150405.000Z"), n+10), 1000, at)
			}
			tp := newTape(t, func(cfg *Config) { cfg.Dir = dir; c.set(cfg) })
			tp.end() // an empty recording is none
			require.Len(t, tp.segments(), len(foreign)+c.stays)
			for _, name := range foreign {
				require.FileExists(t, filepath.Join(dir, name))
			}
			require.EqualValues(t, 5-c.stays, tp.Stats().Removed)
			require.Len(t, tp.told(EventRemoved), 5-c.stays)
		})
	}
}

// TestRecorderHooks: each segment that was closed is shown to the function, and then to the
// command; one that fails or hangs is told.
func TestRecorderHooks(t *testing.T) {
	sh := "/bin/sh"
	if _, err := os.Stat(sh); err != nil {
		t.Skip("no shell")
	}
	for _, c := range []struct {
		name, script, said string
		err                error
	}{
		{"succeeds", `cp "$0" "$0.copy"`, "", nil},
		{"fails", `echo no such bucket >&2; exit 3`, "no such bucket\n", nil},
		{"hangs", `exec sleep 1000`, "", context.DeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			var closed []string
			tp := newTape(t, func(cfg *Config) {
				cfg.OnClosed = func(path string) { closed = append(closed, path) }
				cfg.Command = []string{sh, "-c", c.script}
				if c.err != nil {
					cfg.CommandTimeout = 50 * time.Millisecond
				}
			})
			tp.say(1)
			tp.end()
			require.Len(t, closed, 1)
			if c.name == "succeeds" {
				require.Len(t, tp.segments(), 2)
				require.Empty(t, tp.told(EventHook))
				return
			}
			require.Len(t, tp.told(EventHook), 1)
			var hook *HookError
			require.ErrorAs(t, tp.told(EventHook)[0].Err, &hook)
			require.Equal(t, closed[0], hook.Path)
			require.Equal(t, c.said, hook.Said)
			if c.err != nil {
				require.ErrorIs(t, hook, c.err)
			}
		})
	}
}

// TestRecorderClose: who does not wait for it any longer gets what is there, and no command goes on.
func TestRecorderClose(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no shell")
	}
	begun := filepath.Join(t.TempDir(), "begun")
	tp := newTape(t, func(cfg *Config) { cfg.Command = []string{"/bin/sh", "-c", ": >'" + begun + "'; exec sleep 1000"} })
	tp.say(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- tp.Close(ctx) }()
	require.Eventually(t, func() bool {
		_, err := os.Stat(begun)
		return err == nil
	}, time.Minute, time.Millisecond)
	cancel()
	require.NoError(t, <-closed, "all is written")
	require.Equal(t, upTo(1), tp.messages())
	require.ErrorIs(t, tp.told(EventHook)[0].Err, context.Canceled)

	never, err := NewRecorder(Config{Dir: t.TempDir(), Market: tickstorm.Stocks})
	require.NoError(t, err)
	require.NoError(t, never.Close(t.Context()))
	require.ErrorIs(t, never.Start(), ErrStarted)
}

// TestRecorderConfig: what cannot work is refused at once, without what may be a secret.
func TestRecorderConfig(t *testing.T) {
	good := Config{Dir: "x", Market: tickstorm.FuturesCME}
	_, err := NewRecorder(good)
	require.NoError(t, err)
	asking := good
	asking.Feed = "ws://127.0.0.1:7000/?snapshot=1&token=sesame"
	_, host, err := asking.withDefaults()
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:7000", host, "which is all that is written of it")
	for _, c := range []struct {
		name string
		set  func(*Config)
		want error
	}{
		{"no folder", func(c *Config) { c.Dir = "" }, ErrNoDir},
		{"no market", func(c *Config) { c.Market = "" }, ErrBadMarket},
		{"a market above", func(c *Config) { c.Market = "../stocks" }, ErrBadMarket},
		{"a market at the root", func(c *Config) { c.Market = "/stocks" }, ErrBadMarket},
		{"a market with a drive", func(c *Config) { c.Market = `c:\stocks` }, ErrBadMarket},
		{"a feed that is none", func(c *Config) { c.Feed = "localhost?apiKey=sesame" }, tickstorm.ErrBadFeed},
		{"a small buffer", func(c *Config) { c.Buffer = 5 }, nil},
		{"a huge buffer", func(c *Config) { c.Buffer = maxBuffer + 1 }, nil},
		{"a flush of no time", func(c *Config) { c.Flush = 1 }, nil},
		{"a negative flush", func(c *Config) { c.Flush = -1 }, nil},
		{"a negative size", func(c *Config) { c.RotateSize = -1 }, nil},
		{"a negative age", func(c *Config) { c.KeepFor = -1 }, nil},
		{"no such policy", func(c *Config) { c.Sync = 3 }, nil},
		{"no such level", func(c *Config) { c.Level = 9 }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			c.set(&cfg)
			_, err := NewRecorder(cfg)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "sesame")
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
}

// TestRecorderClient: behind a client, with a server that echoes the key and hangs up, all is
// recorded as it came, and the key is in no file and no name.
func TestRecorderClient(t *testing.T) {
	const key = "a-key-that-is-secret-0815"
	synctest.Test(t, func(t *testing.T) {
		server, err := sim.StartPipe(sim.Config{Keys: map[string]sim.Plan{key: {}}, Quiet: true})
		require.NoError(t, err)
		tp := newTape(t, func(c *Config) { c.Feed = server.Feed() })
		cfg := server.ClientConfig(tickstorm.Stocks)
		require.Equal(t, key, cfg.Key)
		cfg.Tap = tp
		client, err := tickstorm.NewClient(cfg, nil)
		require.NoError(t, err)
		require.NoError(t, client.Subscribe(t.Context(), tickstorm.Trades, "*"))
		require.NoError(t, client.Start(t.Context()))
		streams := func() {
			for client.State() != tickstorm.StateStreaming {
				time.Sleep(time.Millisecond)
			}
		}
		streams()
		server.Broadcast([]byte(`[{"ev":"status","status":"error","message":"your key is ` + key + `"},{"q":1}]`))
		server.Broadcast([]byte(`[{"ev":"T","sym":"` + key + `","q":2}]`))
		time.Sleep(time.Second)
		server.Conns()[0].Cut()
		time.Sleep(time.Second)
		streams()
		server.Broadcast([]byte(`[{"ev":"T","q":3}]`))
		time.Sleep(time.Second)
		require.NoError(t, client.Close())
		tp.end()
		require.NoError(t, server.Close())
		require.Equal(t, upTo(3), tp.messages())
		var kinds []string
		for _, line := range tp.lines() {
			word, _, _ := strings.Cut(line, ":")
			if slices.Contains([]string{"up", "down", "gap", "subscribed T.*"}, word) {
				kinds = append(kinds, word)
			}
		}
		require.Equal(t, []string{"up", "subscribed T.*", "down", "up", "subscribed T.*", "gap", "down"}, kinds)
		for _, name := range tp.segments() {
			require.NotContains(t, name, key)
			b, err := os.ReadFile(filepath.Join(tp.dir, name))
			require.NoError(t, err)
			require.NotContains(t, string(b), key)
			require.NotContains(t, unpack(t, b), key)
		}
	})
}
