package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/when"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

// recording is what verbs read.
type recording struct {
	Paths []string `arg:"" optional:"" name:"path" help:"Segments, folders with all below them, or patterns."`
}

// open finds the recording, or makes one up where --demo says so. What is returned beside the paths
// removes that again.
func (r *recording) open(ctx context.Context, a *app) (paths []string, remove func(), err error) {
	if len(r.Paths) > 0 {
		return r.Paths, func() {}, nil
	}
	if !a.Demo {
		return nil, nil, usagef("say which recording: files, folders or patterns; or --demo")
	}
	dir, err := os.MkdirTemp("", "tickstorm-demo-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	path, err := a.demoRecording(ctx, dir)
	if err != nil {
		remove()
		return nil, nil, err
	}
	return []string{path}, remove, nil
}

// What a recording for --demo has.
const (
	demoLength = 10 * time.Second
	demoTick   = 20 * time.Millisecond
	demoRate   = 1000
)

// demoRecording records ten seconds that the simulator makes up, in a moment, up to now.
func (a *app) demoRecording(ctx context.Context, dir string) (path string, err error) {
	rate := demoRate
	if a.DemoRate > 0 {
		rate = min(a.DemoRate, 100_000)
	}
	const ticksPerSecond = int(time.Second / demoTick)
	perTick := max(1, rate/ticksPerSecond)
	whole := filepath.Join(dir, "whole")
	rec, err := record.NewRecorder(record.Config{
		Dir: whole, Market: tickstorm.Stocks, Feed: "ws://simulator", MinFree: -1, Sync: record.SyncNever,
		Buffer: max(4<<20, 4000*rate),      // room for all of it
		Rotate: 100 * 365 * 24 * time.Hour, // its clock is not that of what is made up
	})
	if err != nil {
		return "", err
	}
	if err := rec.Start(); err != nil {
		return "", err
	}
	a.sayf("tickstorm: SIMULATOR: a recording of made-up data, seed %d", a.DemoSeed)
	g := sim.NewGenerator(tickstorm.Stocks, a.DemoSeed)
	for _, channel := range []string{"T", "Q", "A"} {
		g.Subscribe(tickstorm.Topic{Channel: channel, Symbol: tickstorm.All})
	}
	end := a.now()
	start := end.Add(-demoLength)
	rec.OnState(&tickstorm.StateChange{State: tickstorm.StateStreaming, At: start, Acked: 3})
	var msg []byte
	for at := demoTick; at <= demoLength; at += demoTick {
		now := start.Add(at)
		msg = g.AppendMessage(msg[:0], now, perTick)
		rec.OnMessage(msg, now.UnixNano())
	}
	if err := rec.Close(context.WithoutCancel(ctx)); err != nil {
		return "", err
	}
	// The recorder's own last line is of the time, not of what was made up.
	path = filepath.Join(dir, "demo"+record.Suffix)
	_, err = record.Cut(ctx, path, time.Time{}, end.Add(1), whole)
	return path, err
}

// A stretch is a part of a recording by times of receipt.
type stretch struct {
	From  string `placeholder:"TIME" help:"Only what was received then or later: ${when}."`
	Until string `placeholder:"TIME" help:"Only what was received before."`
}

// times reads the two ends, which may be zero. They refer to what the recording has of some markets, all if
// none are named: 09:30 is on the day of its beginning, and -10m is before its end.
func (s *stretch) times(ctx context.Context, a *app, paths, markets []string) (from, until time.Time, err error) {
	if s.From == "" && s.Until == "" {
		return from, until, nil
	}
	reports, err := record.Survey(ctx, paths...)
	if err != nil {
		return from, until, err
	}
	ref := when.Reference{Now: a.now(), Day: a.now()}
	market := tickstorm.Stocks
	found := false
	for _, r := range reports {
		if r.FirstReceived.IsZero() || len(markets) > 0 && !slices.Contains(markets, string(r.Header.Market)) {
			continue
		}
		if !found || r.FirstReceived.Before(ref.Day) {
			ref.Day, market = r.FirstReceived, r.Header.Market
		}
		if !found || r.LastReceived.After(ref.Now) {
			ref.Now = r.LastReceived
		}
		found = true
	}
	if ref.Zone, err = a.zone(exchangeZone(market)); err != nil {
		return from, until, err
	}
	parse := func(text string) (t time.Time) {
		if text == "" || err != nil {
			return t
		}
		t, err = when.Parse(text, ref)
		return t
	}
	from, until = parse(s.From), parse(s.Until)
	if err == nil && !from.IsZero() && !until.IsZero() && !from.Before(until) {
		err = usagef("--from %s is not before --until %s", from.Format(time.RFC3339Nano), until.Format(time.RFC3339Nano))
	}
	return from, until, err
}

// picking are flags that leave channels and symbols out.
type picking struct {
	Channels []string `name:"channel" placeholder:"NAME,..." help:"Only these channels, such as T,Q."`
	Symbols  []string `name:"symbol" placeholder:"NAME,..." help:"Only these symbols, spelled as in the data."`
	Markets  []string `name:"market" short:"m" placeholder:"NAME,..." help:"Only these markets."`
}

// picks reports whether anything is left out.
func (p *picking) picks() bool { return len(p.Channels)+len(p.Symbols)+len(p.Markets) > 0 }

func (p *picking) filter() record.Filter {
	f := record.Filter{Channels: p.Channels, Symbols: p.Symbols}
	for _, m := range p.Markets {
		f.Markets = append(f.Markets, tickstorm.Market(m))
	}
	return f
}

// reader opens a recording for what was picked of it.
func (p *picking) reader(paths []string, from, until time.Time) (*record.Reader, error) {
	r, err := record.Open(paths...)
	if err != nil {
		return nil, err
	}
	r.Filter(p.filter())
	r.Until(until)
	if !from.IsZero() {
		r.Seek(record.Received, from)
	}
	return r, nil
}

// firstMarket is the market of the message that comes first, whose clocks are shown, and whether there is one. That there is no
// recording at all is an error.
func (p *picking) firstMarket(ctx context.Context, paths []string, from, until time.Time) (_ tickstorm.Market, found bool, err error) {
	r, err := p.reader(paths, from, until)
	if err != nil {
		return "", false, err
	}
	defer r.Close()
	size := int64(0)
	ctx = record.WithProgress(ctx, func(p record.Progress) { size = p.Total })
	var first tickstorm.Market
	for e, err := range r.All(ctx) {
		if err != nil {
			return "", false, err
		}
		if e.Raw != nil {
			return e.Market, true, nil
		}
		size, first = max(size, 1), cmp.Or(first, e.Market)
	}
	if size == 0 {
		return "", false, noRecording(paths)
	}
	return cmp.Or(first, tickstorm.Stocks), false, nil
}

// errNoRecording: there is none where one was said to be.
var errNoRecording = errors.New("there is no recording in")

func noRecording(paths []string) error {
	return fmt.Errorf("%w %s", errNoRecording, strings.Join(paths, ", "))
}

// nothing tells that nothing was shown, and that this is as it was asked for.
func (a *app) nothing() {
	a.log.Warn("nothing in the recording is of these times, channels, symbols and markets")
}

// target is a file that is written, which must not be there. Where nobody names one for --demo it is
// removed with the recording.
type target struct {
	Out string `short:"o" placeholder:"FILE" help:"File to write, which must not exist; a recording's name ends in ${suffix}."`
}

// path is the target's.
func (t *target) path(a *app, demo []string) (string, error) {
	switch {
	case t.Out != "":
	case a.Demo:
		return filepath.Join(filepath.Dir(demo[0]), "written"+record.Suffix), nil
	default:
		return "", usagef("say what file to write: -o FILE")
	}
	if _, err := os.Lstat(t.Out); err == nil {
		return "", thereAlready(t.Out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if !strings.HasSuffix(t.Out, record.Suffix) {
		a.log.Warn("recordings in folders are found by their names only", "file", t.Out, "suffix", record.Suffix)
	}
	return t.Out, nil
}

// thereAlready is that a file is, which was to be written.
func thereAlready(path string) error {
	return fmt.Errorf("%s is there already: nothing is overwritten", path)
}

// damage tells of damage, up to so many places, and returns how many there are. A clock that was put
// back is none.
func (a *app) damage(all []*record.Damage) int {
	all = slices.DeleteFunc(all, func(d *record.Damage) bool { return d.Reason == record.ClockBack })
	const most = 20
	for i, d := range all {
		if i == most {
			a.log.Warn("and more damage", "places", len(all)-most)
			break
		}
		a.log.Warn("damage", "file", d.Path, "at", d.Offset, "bytes", d.Length, "reason", d.Reason)
	}
	return len(all)
}
