package ring_test

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/ring"
)

var policies = map[string]ring.Policy{
	"block": ring.Block, "drop newest": ring.DropNewest, "drop oldest": ring.DropOldest,
	"conflate": ring.Conflate, "refuse": ring.Refuse,
}

var seed = maphash.MakeSeed()

func hash(channel uint8, key []byte) uint64 { return maphash.Bytes(seed, key) + uint64(channel) }

func newRing(bytes int, policy ring.Policy, with func(*ring.Config)) *ring.Ring {
	cfg := ring.Config{
		Bytes: bytes, Channels: 3, Policy: policy, Alarm: 0.5, Hash: hash,
		Count:    func(first, second []byte) uint64 { return uint64(len(first) + len(second)) },
		Refusing: new(atomic.Bool), Halted: new(atomic.Bool),
	}
	cfg.Frame.Open, cfg.Frame.Between, cfg.Frame.Close = '<', '|', '>'
	if with != nil {
		with(&cfg)
	}
	return ring.New(cfg)
}

// entry is one whose key is its first two bytes.
func entry(msg []byte, channel uint8, flags ring.Flags) []ring.Entry {
	return appendEntry(nil, msg, 0, channel, flags, hash)
}

// appendEntry appends that of what follows start.
func appendEntry(entries []ring.Entry, msg []byte, start int, channel uint8, flags ring.Flags, hash func(uint8, []byte) uint64) []ring.Entry {
	e := ring.NewEntry(start, len(msg), channel, flags)
	n := min(2, len(msg)-start)
	e.SetKey(0, uint8(n), hash(channel, msg[start:][:n]))
	return append(entries, e)
}

func texts(b *ring.Batch) []string {
	var all []string
	for _, r := range b.Runs {
		all = append(all, fmt.Sprint(r.Received, string(b.Buf[r.Start:r.End])))
	}
	return all
}

func TestRuns(t *testing.T) {
	r := newRing(1<<10, ring.Block, nil)
	put := func(received int64, flags ring.Flags, words ...string) {
		for _, w := range words {
			require.True(t, r.Put([]byte(w), entry([]byte(w), 1, flags), received, nil))
		}
	}
	put(1, 0, "a", "b")
	put(2, 0, "c")
	put(2, ring.Tag, "d", "e")
	put(2, ring.Alone, "f", "", "g")
	require.True(t, r.Mark("here"))
	put(3, 0, "h")
	require.EqualValues(t, 9, r.Stats(make([]uint64, 3)).Events)
	require.EqualValues(t, 1, r.Stats(make([]uint64, 3)).Oldest)

	var b ring.Batch
	require.True(t, r.Take(&b, 1<<10))
	require.Equal(t, []string{"1<a|b>", "2<c>", "2<d|e>", "2f", "2", "2g"}, texts(&b))
	require.Equal(t, "here", b.Mark, "nothing is taken from behind a mark")
	r.Settle(8, 5)
	require.True(t, r.Take(&b, 1<<10))
	require.Equal(t, []string{"3<h>"}, texts(&b))
	require.Nil(t, b.Mark)
	require.EqualValues(t, 3, r.Stats(make([]uint64, 3)).Oldest, "what is in hand counts")
	r.Settle(1, 0)
	r.Close()
	require.False(t, r.Mark("late"))
	require.False(t, r.Put([]byte("i"), entry([]byte("i"), 2, 0), 4, nil))
	require.True(t, r.Take(&b, 1<<10), "a drop is told")
	require.Equal(t, ring.Drops{Count: 1, First: 4, Last: 4, By: []uint64{0, 0, 1}}, b.Drops)
	require.Empty(t, b.Runs)
	require.False(t, r.Take(&b, 1<<10))
	by := make([]uint64, 3)
	require.Equal(t, ring.Totals{Enqueued: 15, Delivered: 14, Dropped: 1}, r.Stats(by).Totals)
	require.Equal(t, []uint64{0, 0, 1}, by)
}

// model is what a ring does, as a list.
type model struct {
	entries                      []modelEntry
	count                        int // of entries that came
	round, roundEnd              int // the number of the entry that ends it
	dropped, conflated, enqueued uint64
}

type modelEntry struct {
	text    string
	channel uint8
	latest  bool // others are to supersede it
	mark    bool
	number  int
	round   int // in which the first came that has given way to it
}

// took is called when entries were taken.
func (m *model) took() {
	i := slices.IndexFunc(m.entries, func(e modelEntry) bool { return !e.mark })
	if i < 0 || m.entries[i].number >= m.roundEnd {
		m.round++
		m.roundEnd = m.count
	}
}

// TestModel puts, marks and takes at random, through many rounds of the ring. What is taken
// must be what a list has: under DropOldest and Conflate, less what the ring says it has dropped.
func TestModel(t *testing.T) {
	hashes := map[string]func(uint8, []byte) uint64{
		"": hash, ", one hash": func(uint8, []byte) uint64 { return 7 },
	}
	for name, policy := range policies {
		for which, hash := range hashes {
			t.Run(name+which, func(t *testing.T) {
				for round := range uint64(12) {
					runModel(t, policy, hash, rand.New(rand.NewPCG(round, 1)))
				}
			})
		}
	}
}

// runModel has six keys, few enough for each to have a place in the index.
func runModel(t *testing.T, policy ring.Policy, hash func(uint8, []byte) uint64, rnd *rand.Rand) {
	const size = 2 << 10
	refusing := new(atomic.Bool)
	r := newRing(size, policy, func(c *ring.Config) { c.Refusing, c.Hash = refusing, hash })
	stats := func() ring.Stats { return r.Stats(make([]uint64, 3)) }
	var m model
	var b ring.Batch
	drop := func(i int) {
		m.entries = slices.Delete(m.entries, i, i+1)
	}
	take := func() {
		require.True(t, r.Take(&b, uint64(rnd.IntN(600))))
		n := 0
		for _, run := range b.Runs {
			for text := range strings.SplitSeq(string(b.Buf[run.Start+1:run.End-1]), "|") {
				require.False(t, m.entries[0].mark)
				require.Equal(t, m.entries[0].text, text)
				drop(0)
				n++
			}
		}
		if n > 0 {
			m.took()
		}
		if b.Mark != nil {
			require.True(t, m.entries[0].mark)
			drop(0)
		}
		r.Settle(n, 0)
	}
	serial := uint64(0)
	put := func(n int) {
		var msg []byte
		var entries []ring.Entry
		var news []modelEntry
		for range n {
			serial++
			start := len(msg)
			msg = fmt.Appendf(msg, "k%c%d%s", 'a'+rnd.IntN(2), serial, strings.Repeat("x", rnd.IntN(60)))
			e := modelEntry{text: string(msg[start:]), channel: uint8(rnd.IntN(3))}
			var flags ring.Flags
			if e.latest = rnd.IntN(3) > 0; e.latest {
				flags = ring.Latest
			}
			entries = appendEntry(entries, msg, start, e.channel, flags, hash)
			news = append(news, e)
		}
		before := stats()
		fresh := ring.Drops{By: make([]uint64, 3)}
		in := r.Put(msg, entries, int64(serial/8), &fresh)
		after := stats()
		require.Equal(t, after.Dropped-before.Dropped, fresh.Count)
		m.enqueued += uint64(n)
		m.dropped += fresh.Count
		if policy == ring.DropOldest {
			require.True(t, in)
		} else {
			require.Equal(t, in, fresh.Count == 0)
		}
		conflated := uint64(0)
		for _, e := range news {
			if !in {
				require.Len(t, news, 1, "which of them is not known")
				break
			}
			gone := slices.IndexFunc(m.entries, func(o modelEntry) bool {
				return o.latest && e.latest && o.channel == e.channel && o.text[:2] == e.text[:2]
			})
			e.number, e.round = m.count, m.round
			switch {
			case policy != ring.Conflate || gone < 0:
			case m.round-m.entries[gone].round < 2:
				e.round = m.entries[gone].round
				drop(gone)
				conflated++
			default: // its turn has come
				m.entries[gone].latest = false
			}
			m.entries = append(m.entries, e)
			m.count++
		}
		require.Equal(t, conflated, after.Conflated-before.Conflated, "an older one gives way")
		m.conflated += conflated
		if policy == ring.DropOldest {
			for range fresh.Count {
				drop(slices.IndexFunc(m.entries, func(e modelEntry) bool { return !e.mark }))
			}
		}
	}
	for range 2000 {
		switch rnd.IntN(12) {
		case 0:
			require.True(t, r.Mark(1))
			m.entries = append(m.entries, modelEntry{mark: true})
		case 1, 2:
			if stats().Events > 0 {
				take()
			}
			refusing.Store(false)
		default:
			n := 1
			switch policy {
			case ring.Block: // it would wait
				n = rnd.IntN(5)
				for stats().Bytes > size-5*128 {
					take()
				}
			case ring.DropOldest:
				n = rnd.IntN(5)
			case ring.Conflate:
				if stats().Bytes < size/2 {
					n = rnd.IntN(5)
				}
			}
			put(n)
		}
		require.NoError(t, r.Check())
		st := stats()
		waiting := 0
		for _, e := range m.entries {
			if !e.mark {
				waiting++
			}
		}
		require.Equal(t, waiting, st.Events)
		require.Equal(t, m.enqueued, st.Enqueued)
		require.Equal(t, m.dropped, st.Dropped)
		require.Equal(t, m.conflated, st.Conflated)
		require.LessOrEqual(t, st.Bytes, st.Capacity)
	}
	r.Close()
	for len(m.entries) > 0 {
		take()
	}
	require.Zero(t, stats().Events)
}

// TestAtOnce has one goroutine put and another take, in a ring of few entries. Entries of a key
// come in order, each at most once, and are accounted for.
func TestAtOnce(t *testing.T) {
	for name, policy := range policies {
		t.Run(name, func(t *testing.T) {
			const size = 1 << 10
			form := regexp.MustCompile(`^k[a-h]\d{8}x*$`)
			refusing := new(atomic.Bool)
			r := newRing(size, policy, func(c *ring.Config) { c.Refusing = refusing })
			go func() {
				defer r.Close()
				rnd := rand.New(rand.NewPCG(1, 1))
				var msg []byte
				var entries []ring.Entry
				for serial := 0; serial < 20_000; {
					msg, entries = msg[:0], entries[:0]
					for range 1 + rnd.IntN(4) {
						serial++
						start := len(msg)
						msg = fmt.Appendf(msg, "k%c%08d%s", 'a'+rnd.IntN(8), serial, strings.Repeat("x", rnd.IntN(60)))
						entries = appendEntry(entries, msg, start, 1, ring.Latest, hash)
					}
					r.Put(msg, entries, int64(serial), nil)
					if serial%16 == 0 {
						runtime.Gosched()
					}
				}
			}()
			var b ring.Batch
			taken, dropped, last := uint64(0), uint64(0), ""
			for r.Take(&b, size/4) {
				dropped += b.Drops.Count
				n := 0
				for _, run := range b.Runs {
					for text := range strings.SplitSeq(string(b.Buf[run.Start+1:run.End-1]), "|") {
						require.True(t, form.MatchString(text), text)
						require.Less(t, last, text[2:10])
						last = text[2:10]
						n++
					}
				}
				taken += uint64(n)
				r.Settle(n, 0)
				refusing.Store(false)
			}
			st := r.Stats(make([]uint64, 3))
			require.Equal(t, ring.Totals{
				Enqueued: taken + dropped + st.Conflated, Delivered: taken, Dropped: dropped, Conflated: st.Conflated,
			}, st.Totals)
			require.GreaterOrEqual(t, st.Enqueued, uint64(20_000))
			require.Zero(t, st.Events)
			require.NoError(t, r.Check())
		})
	}
}

// TestPutWaits: under Block a Put that finds no room goes on when there is some, and when the
// ring is closed.
func TestPutWaits(t *testing.T) {
	r := newRing(256, ring.Block, nil)
	text := make([]byte, 100)
	done := make(chan bool)
	go func() {
		for range 4 {
			r.Put(text, entry(text, 0, 0), 1, nil)
		}
		done <- r.Put(text, entry(text, 0, 0), 1, nil)
	}()
	var b ring.Batch
	for taken := 0; taken < 2; {
		require.True(t, r.Take(&b, 1))
		r.Settle(1, 0)
		taken += len(b.Runs)
	}
	for !r.Waiting() || r.Stats(make([]uint64, 3)).Enqueued < 4 {
		runtime.Gosched()
	}
	r.Close()
	require.False(t, <-done)
	require.False(t, r.Put(text, entry(text, 0, 0), 1, nil))
}

// TestPinned: what is being copied stays as it is, and what must change it waits.
func TestPinned(t *testing.T) {
	filled := func(policy ring.Policy) *ring.Ring {
		r := newRing(1<<10, policy, nil)
		for i := range 16 { // each of 64 bytes
			text := fmt.Appendf(nil, "k%c%046d", 'a'+i, i)
			require.True(t, r.Put(text, entry(text, 1, ring.Latest), 1, nil))
		}
		return r
	}
	dropped := func(r *ring.Ring) uint64 { return r.Stats(make([]uint64, 3)).Dropped }
	large := []byte("kz" + strings.Repeat("x", 398))

	t.Run("nothing gives way to a later one", func(t *testing.T) {
		r := newRing(1<<10, ring.Conflate, nil)
		put := func(text string) { require.True(t, r.Put([]byte(text), entry([]byte(text), 1, ring.Latest), 1, nil)) }
		put("ka1")
		put("kb1")
		release := r.Pin()
		put("ka2")
		put("ka3") // which the one before gives way to
		release()
		require.NoError(t, r.Check())
		require.EqualValues(t, 1, r.Stats(make([]uint64, 3)).Conflated)
		var b ring.Batch
		require.True(t, r.Take(&b, 1<<10))
		require.Equal(t, []string{"1<ka1|kb1|ka3>"}, texts(&b))
	})
	t.Run("dropping the oldest waits", func(t *testing.T) {
		r := filled(ring.DropOldest)
		release := r.Pin()
		done := make(chan bool)
		go func() { done <- r.Put(large, entry(large, 1, 0), 2, nil) }()
		for range 1000 {
			runtime.Gosched()
			require.Zero(t, dropped(r))
		}
		release()
		require.True(t, <-done)
		require.NoError(t, r.Check())
		require.EqualValues(t, 7, dropped(r))
	})
	t.Run("and drops nothing for what comes to nothing", func(t *testing.T) {
		r := filled(ring.DropOldest)
		release := r.Pin()
		done := make(chan bool)
		go func() { done <- r.Put(large, entry(large, 1, 0), 2, nil) }()
		for range 1000 {
			runtime.Gosched()
		}
		r.Close()
		release()
		require.False(t, <-done)
		require.EqualValues(t, 1, dropped(r))
	})
}

// TestAlarm: the alarm is sounded at its depth, by messages of many entries too, and again
// only after the ring was half as deep; what is dropped to make room does not count.
func TestAlarm(t *testing.T) {
	alarms := 0
	r := newRing(1<<10, ring.DropOldest, func(c *ring.Config) { c.OnAlarm = func() { alarms++ } })
	put := func(lengths ...int) {
		var msg []byte
		var entries []ring.Entry
		for _, n := range lengths {
			start := len(msg)
			msg = append(msg, strings.Repeat("x", n-16)...)
			entries = appendEntry(entries, msg, start, 0, 0, hash)
		}
		require.True(t, r.Put(msg, entries, 1, nil))
	}
	take := func(limit uint64) {
		var b ring.Batch
		require.True(t, r.Take(&b, limit))
		r.Settle(b.Runs[0].Entries, 0)
	}
	put(128, 128, 128)
	require.Zero(t, alarms)
	put(64, 64, 64)
	require.Equal(t, 1, alarms)
	put(416, 512) // makes room by dropping, down to less than a quarter
	put(64)
	require.Equal(t, 1, alarms, "it has been full all the time")
	take(1 << 10)
	put(128, 128)
	require.Equal(t, 1, alarms)
	put(256)
	require.Equal(t, 2, alarms)
}

// TestUserPanics: if a call to the user panics, the rest of the message is dropped, and told.
func TestUserPanics(t *testing.T) {
	r := newRing(1<<10, ring.Block, func(c *ring.Config) { c.OnAlarm = func() { panic("user") } })
	var msg []byte
	var entries []ring.Entry
	for range 6 {
		start := len(msg)
		msg = append(msg, strings.Repeat("x", 112)...)
		entries = appendEntry(entries, msg, start, 0, 0, hash)
	}
	require.PanicsWithValue(t, "user", func() { r.Put(msg, entries, 1, nil) })
	require.NoError(t, r.Check())
	st := r.Stats(make([]uint64, 3))
	require.Equal(t, ring.Totals{Enqueued: 6, Dropped: 2}, st.Totals)
	require.Equal(t, 4, st.Events)
}

// TestFits: what is larger than a length can say is never taken, however large the ring.
func TestFits(t *testing.T) {
	r := newRing(1<<10, ring.Block, nil)
	require.True(t, r.Fits(1<<10))
	require.False(t, r.Fits(1<<10+16))
	require.False(t, r.Fits(1<<32))
}
