//go:build unix

package top_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/screen"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
)

func utc(tickstorm.Market) *time.Location { return time.UTC }

// viewing is a model at work in a terminal.
type viewing struct {
	*screen.Screen
	t    *testing.T
	feed *fake
	done chan error
}

// view shows a feed in a terminal of a size; what is in the environment is that of one with colours.
func view(t *testing.T, feed *fake, width, height int, change func(*top.ModelConfig), env ...string) *viewing {
	s, err := screen.Open(width, height)
	require.NoError(t, err)
	cfg := top.ModelConfig{Feed: feed, Zone: utc, Interval: time.Hour, Now: func() time.Time { return day }}
	if change != nil {
		change(&cfg)
	}
	program := tea.NewProgram(top.NewModel(cfg), tea.WithInput(s.Terminal()), tea.WithOutput(s.Terminal()), tea.WithFPS(top.FPS),
		tea.WithoutSignalHandler(), tea.WithEnvironment(append([]string{"TERM=xterm-256color"}, env...)))
	v := &viewing{Screen: s, t: t, feed: feed, done: make(chan error, 1)}
	go func() {
		_, err := program.Run()
		v.done <- err
	}()
	t.Cleanup(func() {
		program.Quit()
		select {
		case err := <-v.done:
			require.NoError(t, err)
		case <-time.After(patience):
			require.Fail(t, "it does not end")
		}
		_ = s.Close()
	})
	return v
}

// has waits until all texts are on the screen.
func (v *viewing) has(texts ...string) {
	v.t.Helper()
	require.True(v.t, v.Await(patience, func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	}), "%q is not there:\n%s", texts, v.Text())
}

// lacks waits until a text is not on the screen any more.
func (v *viewing) lacks(text string) {
	v.t.Helper()
	require.True(v.t, v.Await(patience, func(screen string) bool { return !strings.Contains(screen, text) }), "%q stays:\n%s", text, v.Text())
}

// press has keys be pressed.
func (v *viewing) press(keys string) {
	v.t.Helper()
	require.NoError(v.t, v.Send(keys))
}

// golden waits until the screen is that of a file.
func (v *viewing) golden(name string) {
	v.t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		for before := ""; before != v.Text(); {
			before = v.Text()
			v.Await(300*time.Millisecond, func(text string) bool { return text != before })
		}
		require.NoError(v.t, os.MkdirAll("testdata", 0o755))
		require.NoError(v.t, os.WriteFile(path, []byte(v.Text()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(v.t, err, "go test -update makes it")
	if !v.Await(patience, func(text string) bool { return text == string(want) }) {
		require.Equal(v.t, string(want), v.Text())
	}
}

// TestScreens: every page at every size is that of its file, and every line fits.
func TestScreens(t *testing.T) {
	for _, size := range []struct {
		name          string
		width, height int
	}{{"60x16", 60, 16}, {"80x24", 80, 24}, {"120x40", 120, 40}} {
		t.Run(size.name, func(t *testing.T) {
			v := view(t, newFake(), size.width, size.height, nil)
			v.golden("overview-" + size.name)
			v.press("2")
			v.golden("symbols-" + size.name)
			v.press("3")
			v.golden("faults-" + size.name)
			v.press("4")
			v.golden("clients-" + size.name)
			v.press("?")
			v.golden("help-" + size.name)
			v.press("?m")
			v.golden("markets-" + size.name)
			v.press("\x1b")
			v.has("CLIENTS 2")
			v.press("1\r")
			v.golden("symbol-" + size.name)
		})
	}
}

// TestKeys: each key does what the help says.
func TestKeys(t *testing.T) {
	v := view(t, newFake(), 100, 24, nil)
	v.has("> AAPL", "EV/S▾")
	v.press("s")
	v.has("TOTAL▾")
	v.press("SS")
	v.has("SYMBOL▾")
	v.press("s")
	v.has("EV/S▾")

	v.press("j")
	v.has("> NVDA")
	v.press("\x1b[B") // down
	v.has("> 日本株")
	v.press("k")
	v.has("> NVDA")
	v.press("G")
	v.has("> LAST")
	v.press("g")
	v.has("> AAPL")

	v.press("/")
	v.has("filter: ")
	v.press("nvq")
	v.has("no symbol is like that")
	v.press("\x7f") // backspace
	v.has("> NVDA", "/NV")
	v.lacks("AAPL  ")
	v.press("\r")
	v.lacks("filter: ")
	v.press("\x1b") // escape takes the filter away
	v.has("> AAPL")

	v.press("p")
	v.has("PAUSED")
	v.feed.change(func(s *top.Snapshot) { s.State = "backoff" })
	v.press("s")
	v.has("streaming", "TOTAL▾")
	v.press("S")
	v.has("EV/S▾")
	v.press(" ")
	v.has("backoff")
	v.lacks("PAUSED")

	v.press("\r")
	v.has("TRADES", "283.01", "12 37")
	require.EqualValues(t, 1, v.feed.watched())
	v.feed.come(284.5)
	v.has("284.5")
	v.press("\x1b")
	v.has("SYMBOL")
	require.Eventually(t, func() bool { return v.feed.watched() == 0 }, patience, time.Millisecond)

	v.press("m")
	v.has("MARKETS", "> stocks")
	v.press("jj\r")
	require.Eventually(t, func() bool { return v.feed.market() == tickstorm.Forex }, patience, time.Millisecond)
	v.lacks("MARKETS")

	v.press("\t")
	v.has("SYMBOL")
	v.press("\t")
	v.has("FAULTS", "syntax", `"{\"ev\":\"T\",\x1b[31m"`)
	v.press("\t")
	v.has("CLIENTS 2", "strategy")
	v.press("\t")
	v.has("CHANNEL")
	v.press("q")
	require.NoError(t, <-v.done)
	v.done <- nil
	require.Eventually(t, func() bool { return !v.Alternate() }, patience, time.Millisecond, "the screen is given back")
}

// TestZones: each market has the clocks of its exchange.
func TestZones(t *testing.T) {
	v := view(t, newFake(), 80, 24, func(c *top.ModelConfig) {
		c.Zone = func(m tickstorm.Market) *time.Location {
			if m == tickstorm.Stocks {
				return time.FixedZone("New York", -5*3600)
			}
			return time.UTC
		}
	})
	v.has("  09:30:00", "09:29:55 ✖ gap")
	v.press("m")
	v.has("MARKETS")
	v.press("jj\r")
	v.has("  14:30:00", "14:29:55 ✖ gap")
}

// TestPause: behind what stands still the feed is looked at all the same, but for its symbols.
func TestPause(t *testing.T) {
	f := newFake()
	m := top.NewModel(top.ModelConfig{Feed: f, Zone: utc, Interval: time.Millisecond})
	next := m.Init()
	require.True(t, f.counted)
	for range 2 {
		_, next = m.Update(next())
		require.True(t, f.counted)
		m.Update(tea.KeyPressMsg{Text: "p", Code: 'p'})
		before, samples := m.View().Content, f.sampled()
		for range 300 { // longer than any history
			_, next = m.Update(next())
		}
		require.Equal(t, before, m.View().Content)
		require.Equal(t, samples+300, f.sampled())
		require.False(t, f.counted)
		m.Update(tea.KeyPressMsg{Text: "p", Code: 'p'})
		require.True(t, f.counted)
	}
}

// TestPauseKeepsHistory: what comes later changes no snapshot that is still shown.
func TestPauseKeepsHistory(t *testing.T) {
	b := newBooks(tickstorm.Stocks, tickstorm.Topic{Channel: "T", Symbol: "*"})
	at := day
	second := func(events int) *top.Snapshot {
		for range events {
			b.feed(t, at, trade("A", 1))
		}
		at = at.Add(time.Second)
		return b.Sample(at, false)
	}
	var shown *top.Snapshot
	for i := range 200 {
		shown = second(i % 7)
	}
	before := slices.Clone(shown.History())
	require.Len(t, before, 120)
	for i := range 300 {
		second(i % 5)
	}
	require.Equal(t, before, shown.History())
}

// TestOpenedSymbol: the figures of the symbol that is opened go on, wherever it is in the list.
func TestOpenedSymbol(t *testing.T) {
	f := newFake()
	v := view(t, f, 100, 24, func(c *top.ModelConfig) { c.Interval = 20 * time.Millisecond })
	v.has("> AAPL")
	v.press("/nvda\r\r")
	v.has("NVDA  127.48")
	v.feed.change(func(*top.Snapshot) {
		f.symbols[1].Price = 130.5
		f.symbols[1].Symbol = "NVDA2" // which the filter has not
	})
	v.has("NVDA2  130.5")
}

// TestRelayAlone: of what a relay does not tell there is no figure.
func TestRelayAlone(t *testing.T) {
	r, err := top.RelayOf([]byte(relaySays))
	require.NoError(t, err)
	f := newFake()
	f.snapshot, f.symbols = *top.NewRelayMeter(func() *top.Relay { return &r }).Sample(day, ""), nil
	v := view(t, f, 80, 24, nil)
	v.golden("relay-80x24")
}

// TestKeyWithoutText: a terminal may tell a key and not what it writes.
func TestKeyWithoutText(t *testing.T) {
	m := top.NewModel(top.ModelConfig{Feed: newFake(), Zone: utc, Interval: time.Second})
	m.Init()
	m.Update(tea.KeyPressMsg{Code: '3'})
	require.Contains(t, m.View().Content, "FAULTS")
}

// TestColours: they mean something, NO_COLOR takes them away, and what they mean is there without.
func TestColours(t *testing.T) {
	coloured := func(v *viewing) (n int) {
		width, height := v.Size()
		for y := range height {
			for x := range width {
				if v.Cell(x, y).Style.Fg != nil {
					n++
				}
			}
		}
		return n
	}
	with := view(t, newFake(), 80, 24, nil)
	with.golden("overview-80x24")
	require.NotZero(t, coloured(with))
	require.NotEqual(t, with.Cell(0, 0).Style.Fg, with.Cell(5, 3).Style.Fg, "well is another colour than lost")
	without := view(t, newFake(), 80, 24, nil, "NO_COLOR=1")
	without.golden("overview-80x24")
	require.Zero(t, coloured(without))
}

// TestASCII: where there are no other signs, it makes do with these.
func TestASCII(t *testing.T) {
	f := newFake()
	v := view(t, f, 80, 24, func(c *top.ModelConfig) { c.ASCII = true })
	v.has("* streaming", "EV/Sv", "X gap", "  ??????   ")
	for _, keys := range []string{"1", "2", "3", "4", "m", "?", "1\r"} {
		v.press(keys)
		v.has("q quit")
		for _, r := range v.Text() {
			require.Less(t, r, rune(0x80), "%q: %s", keys, v.Text())
		}
	}
}

// TestWideCharacters: what takes two cells shifts nothing, and what is no character does nothing.
func TestWideCharacters(t *testing.T) {
	v := view(t, newFake(), 80, 24, nil)
	v.has("日本株", "7.0%", "0.5%", "0.4%", "EVIL\uFFFD[2J", "p pause")
	column := func(line, text string) int {
		before, _, ok := strings.Cut(line, text)
		require.True(t, ok, line)
		n := 0
		for _, r := range before {
			if n++; r >= 0x3000 && r < 0xF000 {
				n++
			}
		}
		return n
	}
	var ends []int
	for _, line := range v.Lines() {
		for _, share := range []string{"7.0%", "0.5%", "0.4%"} {
			if strings.Contains(line, " "+share) {
				ends = append(ends, column(line, share))
			}
		}
	}
	require.Len(t, ends, 3)
	require.Equal(t, ends[0], ends[1])
	require.Equal(t, ends[0], ends[2])
	v.press("/日")
	v.has("filter: 日", "> 日本株")
}

// TestSmallest: sizes that are too small for anything draw what fits, and no more.
func TestSmallest(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {20, 3}, {59, 5}, {59, 15}, {60, 8}, {110, 20}, {200, 50}, {300, 100}} {
		f := newFake()
		m := top.NewModel(top.ModelConfig{Feed: f, Zone: utc, Interval: time.Second})
		m.Init()
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		for _, keys := range []string{"1", "2", "3", "4", "?", "m", "1\r", "\x1b", "/", "p"} {
			for _, r := range keys {
				press := tea.KeyPressMsg{Code: r} // enter and escape are their own codes
				if r >= ' ' {
					press.Text = string(r)
				}
				m.Update(press)
			}
			lines := strings.Split(m.View().Content, "\n")
			require.Len(t, lines, size[1], "%v %q", size, keys)
			for _, line := range lines {
				require.LessOrEqual(t, ansi.StringWidth(line), size[0], "%v %q: %s", size, keys, line)
			}
		}
	}
}

// writes counts writes.
type writes struct {
	mu    sync.Mutex
	times []time.Time
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times = append(w.times, time.Now())
	return len(p), nil
}

func (w *writes) all() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.times)
}

// TestTenTimesASecond: however often something changes, the terminal is not written to more often.
func TestTenTimesASecond(t *testing.T) {
	f := newFake()
	var seconds atomic.Int64
	model := top.NewModel(top.ModelConfig{Feed: f, Zone: utc, Interval: time.Millisecond, Now: func() time.Time {
		return day.Add(time.Duration(seconds.Add(1)) * time.Second)
	}})
	var w writes
	program := tea.NewProgram(model, tea.WithInput(nil), tea.WithOutput(&w), tea.WithFPS(top.FPS), tea.WithoutSignalHandler(),
		tea.WithWindowSize(80, 24), tea.WithEnvironment([]string{"TERM=xterm-256color"}))
	done := make(chan error, 1)
	go func() {
		_, err := program.Run()
		done <- err
	}()
	require.Eventually(t, func() bool { return len(w.all()) >= 20 }, patience, 10*time.Millisecond)
	program.Quit()
	require.NoError(t, <-done)
	times := w.all()
	require.GreaterOrEqual(t, times[19].Sub(times[3]), time.Second, "a ticker's first after a late one comes early")
	require.Greater(t, f.sampled(), 60)
}

// TestNothingIsDrawnTwice: what does not change is not written again.
func TestNothingIsDrawnTwice(t *testing.T) {
	v := view(t, newFake(), 80, 24, func(c *top.ModelConfig) { c.Interval = 20 * time.Millisecond })
	v.has("> AAPL")
	samples := v.feed.sampled()
	require.Eventually(t, func() bool { return v.feed.sampled() > samples+20 }, patience, time.Millisecond)
	before := v.Written()
	samples = v.feed.sampled()
	require.Eventually(t, func() bool { return v.feed.sampled() > samples+50 }, patience, time.Millisecond)
	require.Less(t, v.Written()-before, 200, "fifty samples that are alike")
}

var _ top.Feed = (*fake)(nil)
