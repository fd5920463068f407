package parquet

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
)

// conversion makes the parts of one segment.
type conversion struct {
	s    *Sink
	seg  segment
	zone *time.Location

	open    map[partKey]*part
	numbers map[partKey]int // of the next part
	whole   []*part         // finished
	used    uint64
	busy    pending

	reading
	gap        uint64 // the number of the last gap before what is read
	gapLast    uint64 // the last number that was given
	gaps       int
	footerGaps []footerGap
	damages    uint64
	unknown    uint64
	newest     int64
	uncounted  int // rows, or KiB, since it was looked how many bytes wait
}

// pending is the row group that is being written, beside what is read meanwhile.
type pending struct {
	rows   *rows // nil if there is none
	result chan error
}

// segment does one segment, of which m is what was done before.
func (s *Sink) segment(ctx context.Context, g segment, m *manifest) (err error) {
	zone, err := time.LoadLocation(zoneName(g.market))
	if err != nil {
		return err
	}
	c := &conversion{
		s: s, seg: g, zone: zone, open: map[partKey]*part{}, numbers: map[partKey]int{},
		busy: pending{result: make(chan error, 1)},
		gap:  s.gaps[g.market], gapLast: s.gaps[g.market], newest: s.last[g.market],
	}
	if m != nil { // it stands where it stood
		c.gap, c.newest = m.GapBefore, m.ReceivedBefore
	}
	done := &manifest{
		Version: manifestVersion, Segment: g.name, Market: g.market, Bytes: g.size, Finished: g.finished,
		GapBefore: c.gap, ReceivedBefore: c.newest,
	}
	c.prepare(c)
	defer func() {
		if err != nil {
			c.abandon()
		}
	}()
	if err := c.read(ctx); err != nil {
		return err
	}
	for len(c.open) > 0 {
		if err := c.finish(c.oldest()); err != nil {
			return err
		}
	}
	done.GapLast, done.ReceivedLast = c.gapLast, c.newest
	if err := c.publish(done); err != nil {
		return err
	}
	c.tell(done)
	return nil
}

// read has all rows of the segment written, but for what waits in memory.
func (c *conversion) read(ctx context.Context) error {
	r, err := record.Open(c.seg.path)
	if err != nil {
		return err
	}
	defer r.Close()
	for e, err := range r.All(ctx) {
		if err != nil {
			return err
		}
		if err := c.entry(e); err != nil {
			return err
		}
	}
	return nil
}

// publish gives the parts their names, and says that the segment is done.
func (c *conversion) publish(m *manifest) error {
	root := c.s.cfg.To
	folders := map[string]bool{}
	for _, p := range c.whole {
		path, err := filepath.Rel(root, p.path)
		if err != nil {
			return err
		}
		m.Parts = append(m.Parts, manifestPart{filepath.ToSlash(path), p.count, p.bytes})
		if err := os.Rename(p.path+tempSuffix, p.path); err != nil {
			return &WriteError{"rename", p.path + tempSuffix, err}
		}
		for dir := filepath.Dir(p.path); len(dir) >= len(filepath.Clean(root)); dir = filepath.Dir(dir) {
			folders[dir] = true // those above may be new as well
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	stale, err := c.s.stale(m)
	if err != nil {
		return err
	}
	for _, name := range stale {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &WriteError{"remove", path, err}
		}
		folders[filepath.Dir(path)] = true
	}
	for dir := range folders {
		if err := sink.SyncFolder(dir); err != nil {
			return &WriteError{"fsync", dir, err}
		}
	}
	slices.SortFunc(m.Parts, func(a, b manifestPart) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	return c.s.save(m)
}

// tell counts what was done.
func (c *conversion) tell(m *manifest) {
	var rows, gaps, bytes int64
	for _, p := range c.whole {
		rows += p.count
		bytes += p.bytes
		if p.key.ev == gapsTable {
			gaps += p.count
		}
	}
	if done := c.s.cfg.OnDone; done != nil {
		paths := make([]string, len(m.Parts))
		for i, p := range m.Parts {
			paths[i] = filepath.Join(c.s.cfg.To, filepath.FromSlash(p.Path))
		}
		defer done(m.Segment, paths)
	}
	keys := c.parser.Counters().UnknownKeys
	c.s.counts.Add(func(s *Stats) {
		s.Segments++
		s.Parts += uint64(len(m.Parts))
		s.Bytes += uint64(bytes)
		s.Rows += uint64(rows)
		s.Gaps += uint64(gaps)
		s.Unknown += c.unknown
		s.UnknownKeys += keys
		s.Damages += c.damages
		s.Newest = max(s.Newest, c.newest)
	})
	log := c.s.cfg.Logger
	log.Info("a segment is done", "segment", m.Segment, "rows", rows, "parts", len(m.Parts), "bytes", bytes, "gaps", gaps)
	if c.damages > 0 {
		log.Warn("a segment is damaged: its gaps say where", "segment", m.Segment, "places", c.damages)
	}
	if c.unknown > 0 || keys > 0 {
		log.Warn("there are no columns for some of a segment", "segment", m.Segment, "elements in ev=unknown", c.unknown, "keys in extra", keys)
	}
}

// partOf returns the part that a row of a table goes to, by the time whose day it is of.
func (c *conversion) partOf(s *stream, at int64) (*part, error) {
	if !s.day.has(at) {
		s.day, s.part = dayOf(at, c.zone), nil
	}
	if s.part == nil || s.part.rows == nil {
		key := partKey{s.ev, s.day.text}
		p := c.open[key]
		if p == nil {
			var err error
			if p, err = c.begin(key, s.table); err != nil {
				return nil, err
			}
		}
		s.part = p
	}
	c.used++
	s.part.used = c.used
	return s.part, nil
}

func (c *conversion) begin(key partKey, t *table) (*part, error) {
	cfg := &c.s.cfg
	if ev := string(c.seg.market) + "\n" + key.ev; !c.s.checked[ev] {
		if err := agree(cfg.To, c.seg.market, key.ev, t); err != nil {
			return nil, err
		}
		c.s.checked[ev] = true
	}
	if len(c.open) >= cfg.MaxOpen {
		if err := c.finish(c.oldest()); err != nil {
			return nil, err
		}
	}
	p := &part{table: t, key: key, rows: c.take(t)}
	p.path = filepath.Join(cfg.To, filepath.FromSlash(folderOf(c.seg.market, key.ev, key.day)), partName(c.seg.name, c.numbers[key]))
	c.numbers[key]++
	c.open[key] = p
	return p, p.begin(cfg.create, cfg.Sort)
}

// oldest is the open part that has had no row for longest.
func (c *conversion) oldest() (oldest *part) {
	for _, p := range c.open {
		if oldest == nil || p.used < oldest.used {
			oldest = p
		}
	}
	return oldest
}

// take returns rows to fill.
func (c *conversion) take(t *table) *rows {
	if r := c.s.spare[t]; r != nil {
		delete(c.s.spare, t)
		return r
	}
	return newRows(t)
}

// give gives rows back.
func (c *conversion) give(r *rows) {
	if r.size() < groupBytes { // whose last row may have been long
		r.reset()
		c.s.spare[r.table] = r
	}
}

// groupBytes is how many bytes a row group has at most, but for its last row.
const groupBytes = 64 << 20

// lookRows is after how many rows, or KiB of long ones, it is looked at how many bytes wait.
const lookRows = 1024

// ended ends a row, and writes what there is too much of.
func (c *conversion) ended(p *part, message uint64) error {
	r := p.rows
	r.end()
	if p.count++; p.count == 1 {
		p.first = message
	}
	p.last = message
	if r.n >= c.s.cfg.RowGroup || r.size() >= groupBytes {
		return c.flushed(p)
	}
	c.uncounted += 1 + (r.varied-r.counted)>>10
	r.counted = r.varied
	if c.uncounted < lookRows {
		return nil
	}
	c.uncounted = 0
	for {
		var largest *part
		waiting := 0
		for _, p := range c.open {
			size := p.rows.size()
			waiting += size
			if largest == nil || size > largest.rows.size() || size == largest.rows.size() && p.used < largest.used {
				largest = p
			}
		}
		if waiting <= c.s.cfg.Memory {
			return nil
		}
		if err := c.flushed(largest); err != nil {
			return err
		}
	}
}

// flushed is flush, and finishes a part that has enough row groups.
func (c *conversion) flushed(p *part) error {
	err := c.flush(p)
	if err == nil && p.groups >= c.s.cfg.groups {
		err = c.finish(p)
	}
	return err
}

// flush has the rows of a part written, beside what comes next.
func (c *conversion) flush(p *part) error {
	if p.rows.n == 0 {
		return nil
	}
	if err := c.settle(); err != nil {
		return err
	}
	r := p.rows
	p.rows = c.take(p.table)
	c.busy.rows = r
	p.groups++
	go func() { c.busy.result <- p.write(r, c.s.cfg.Sort, &c.s.scratch) }()
	return nil
}

// settle waits until the row group that is being written is.
func (c *conversion) settle() error {
	r := c.busy.rows
	if r == nil {
		return nil
	}
	err := <-c.busy.result
	c.busy.rows = nil
	c.give(r)
	return err
}

// finish makes a part whole.
func (c *conversion) finish(p *part) error {
	if err := c.flush(p); err != nil {
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	if err := p.finish(c.footer(p)); err != nil {
		return err
	}
	c.give(p.rows)
	p.rows = nil
	delete(c.open, p.key)
	c.whole = append(c.whole, p)
	return nil
}

// abandon removes all that was written and has no name yet.
func (c *conversion) abandon() {
	_ = c.settle() // what matters is why it is abandoned
	for _, p := range c.open {
		p.abandon()
	}
	for _, p := range c.whole {
		p.abandon()
	}
}
