package tickstorm_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// visitor calls one function for events of any kind.
type visitor func(tickstorm.Event)

func (v visitor) OnTrade(e *tickstorm.Trade)         { v(e) }
func (v visitor) OnQuote(e *tickstorm.Quote)         { v(e) }
func (v visitor) OnAggregate(e *tickstorm.Aggregate) { v(e) }
func (v visitor) OnBook(e *tickstorm.Book)           { v(e) }
func (v visitor) OnLULD(e *tickstorm.LULD)           { v(e) }
func (v visitor) OnImbalance(e *tickstorm.Imbalance) { v(e) }
func (v visitor) OnValue(e *tickstorm.Value)         { v(e) }
func (v visitor) OnStatus(e *tickstorm.Status)       { v(e) }
func (v visitor) OnUnknown(e *tickstorm.Unknown)     { v(e) }
func (v visitor) OnError(*tickstorm.EventError)      {}

func cloneOf(e tickstorm.Event) tickstorm.Event {
	switch e := e.(type) {
	case *tickstorm.Trade:
		return e.Clone()
	case *tickstorm.Quote:
		return e.Clone()
	case *tickstorm.Aggregate:
		return e.Clone()
	case *tickstorm.Book:
		return e.Clone()
	case *tickstorm.LULD:
		return e.Clone()
	case *tickstorm.Imbalance:
		return e.Clone()
	case *tickstorm.Value:
		return e.Clone()
	case *tickstorm.Status:
		return e.Clone()
	case *tickstorm.Unknown:
		return e.Clone()
	}
	panic("an event of no kind")
}

// pools has a Pool of every kind.
type pools struct {
	trade     tickstorm.Pool[tickstorm.Trade]
	quote     tickstorm.Pool[tickstorm.Quote]
	aggregate tickstorm.Pool[tickstorm.Aggregate]
	book      tickstorm.Pool[tickstorm.Book]
	luld      tickstorm.Pool[tickstorm.LULD]
	imbalance tickstorm.Pool[tickstorm.Imbalance]
	value     tickstorm.Pool[tickstorm.Value]
	status    tickstorm.Pool[tickstorm.Status]
	unknown   tickstorm.Pool[tickstorm.Unknown]
}

func (p *pools) copyOf(e tickstorm.Event) tickstorm.Event {
	switch e := e.(type) {
	case *tickstorm.Trade:
		return p.trade.Copy(e)
	case *tickstorm.Quote:
		return p.quote.Copy(e)
	case *tickstorm.Aggregate:
		return p.aggregate.Copy(e)
	case *tickstorm.Book:
		return p.book.Copy(e)
	case *tickstorm.LULD:
		return p.luld.Copy(e)
	case *tickstorm.Imbalance:
		return p.imbalance.Copy(e)
	case *tickstorm.Value:
		return p.value.Copy(e)
	case *tickstorm.Status:
		return p.status.Copy(e)
	case *tickstorm.Unknown:
		return p.unknown.Copy(e)
	}
	panic("an event of no kind")
}

func (p *pools) put(e tickstorm.Event) {
	switch e := e.(type) {
	case *tickstorm.Trade:
		p.trade.Put(e)
	case *tickstorm.Quote:
		p.quote.Put(e)
	case *tickstorm.Aggregate:
		p.aggregate.Put(e)
	case *tickstorm.Book:
		p.book.Put(e)
	case *tickstorm.LULD:
		p.luld.Put(e)
	case *tickstorm.Imbalance:
		p.imbalance.Put(e)
	case *tickstorm.Value:
		p.value.Put(e)
	case *tickstorm.Status:
		p.status.Put(e)
	case *tickstorm.Unknown:
		p.unknown.Put(e)
	}
}

// unknownFixture is what the table of fixtures cannot have: no market knows it.
var unknownFixture = sample{
	"unknown", onMarkets(tickstorm.Stocks), `{"ev":"ZZ","sym":"ACME","x":[1,2]}`, `{"ev":"ZZ","sym":"ACME","x":[1,2]}`,
	&tickstorm.Unknown{Event: []byte("ZZ")},
}

// spoil overwrites every byte and number that the event's slices lead to.
func spoil(e tickstorm.Event) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.Slice:
			if v.Cap() > 0 { // also what lies behind the length
				v = v.Slice(0, v.Cap())
				for i := range v.Len() {
					switch item := v.Index(i).Addr().Interface().(type) {
					case *byte:
						*item = '#'
					case *int32:
						*item = -99
					case *tickstorm.Level:
						*item = tickstorm.Level{Price: -99, Size: -99}
					}
				}
			}
		}
	}
	walk(reflect.ValueOf(e).Elem())
}

// TestCopiesShareNothing: a clone and a pool's copy stay as they are when the event,
// the message, the parser's memory and another copy change, and the other way round.
func TestCopiesShareNothing(t *testing.T) {
	var shared pools
	ways := map[string]func(tickstorm.Event) tickstorm.Event{
		"Clone": cloneOf, "Copy": shared.copyOf,
		"Copy of a Clone": func(e tickstorm.Event) tickstorm.Event { return shared.copyOf(cloneOf(e)) },
		"reused Copy": func(e tickstorm.Event) tickstorm.Event {
			shared.put(shared.copyOf(e))
			return shared.copyOf(e)
		},
	}
	for name, keep := range ways {
		t.Run(name, func(t *testing.T) {
			for _, f := range append(fixtures, unknownFixture) {
				p := tickstorm.NewParser(f.markets[0])
				p.SetReceived(9)
				msg := []byte("[" + f.live + "]")
				var kept, other tickstorm.Event
				require.NoError(t, p.Parse(msg, visitor(func(e tickstorm.Event) {
					kept, other = keep(e), keep(e)
					spoil(other)
					requireSame(t, f.want, e)
					spoil(e)
				})))
				clear(msg)
				requireKept(t, f, kept)
				require.NoError(t, p.Parse([]byte(strings.NewReplacer("1", "2", "2", "3", "A", "B", "e", "e", "s", "s").Replace("["+f.live+"]")), nil))
				requireKept(t, f, kept)

				again := cloneOf(kept)
				spoil(kept)
				requireKept(t, f, again)
			}
		})
	}
}

func requireKept(t *testing.T, f sample, kept tickstorm.Event) {
	t.Helper()
	requireSame(t, f.want, kept)
	h := kept.Head()
	require.Equal(t, f.live, string(h.Raw))
	require.Equal(t, f.markets[0], h.Market)
	require.Equal(t, int64(9), h.Received)
	require.Equal(t, h.Symbol != "", h.SymbolID != 0)
}

// TestCopiesAppend: an append to one text of a copy must not run into the next one.
func TestCopiesAppend(t *testing.T) {
	e := parseOne(t, tickstorm.NewParser(tickstorm.Stocks), tradeFixtures[0].live).(*tickstorm.Trade)
	_ = append(e.Raw, "####"...)
	_ = append(e.ID, "####"...)
	require.Equal(t, tradeFixtures[0].live, string(e.Raw))
	require.Equal(t, "00071532", string(e.ID))
	require.Equal(t, "12.250000", string(e.SizeDecimal.Text))
}

// TestLentAppend: nor may it run into the rest of the message.
func TestLentAppend(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Stocks)
	calls := 0
	msg := []byte("[" + tradeFixtures[0].live + "," + tradeFixtures[0].live + "]")
	before := bytes.Clone(msg)
	require.NoError(t, p.Parse(msg, visitor(func(e tickstorm.Event) {
		requireSame(t, tradeFixtures[0].want, e)
		calls++
		trade := e.(*tickstorm.Trade)
		_ = append(trade.Raw, "####"...)
		_ = append(trade.ID, "####"...)
		_ = append(trade.SizeDecimal.Text, "####"...)
		requireSame(t, tradeFixtures[0].want, e)
	})))
	require.Equal(t, 2, calls)
	require.Equal(t, string(before), string(msg))
}

// TestPoolClears: what is put back keeps nothing that the next one could show.
func TestPoolClears(t *testing.T) {
	for _, f := range append(fixtures, unknownFixture) {
		t.Run(f.name, func(t *testing.T) {
			var p pools
			parser := tickstorm.NewParser(f.markets[0])
			parser.SetBackfilled(true)
			kept := p.copyOf(parseOne(t, parser, f.live))
			p.put(kept)
			// It is the pool's now. A look at it is the only way to see that it is empty.
			requireSame(t, emptyOf(f.want), kept)
			h := kept.Head()
			require.Empty(t, h.Market)
			require.Empty(t, h.Raw)
			require.Zero(t, h.SymbolID)
			require.Zero(t, h.Received)
			require.False(t, h.Backfilled)

			bare := objectOf(pairsOf(f.live)[0])
			fresh := parseOne(t, tickstorm.NewParser(f.markets[0]), bare)
			copied := p.copyOf(fresh)
			requireSame(t, fresh, copied)
			require.Equal(t, bare, string(copied.Head().Raw))
			require.False(t, copied.Head().Backfilled)
		})
	}
}

// TestPoolDropsLargeMemory: one huge event must not hold its memory for ever, while
// the usual ones keep theirs.
func TestPoolDropsLargeMemory(t *testing.T) {
	book := func(levels int) *tickstorm.Book {
		return &tickstorm.Book{Bids: make([]tickstorm.Level, levels), Asks: make([]tickstorm.Level, levels)}
	}
	var pool tickstorm.Pool[tickstorm.Book]
	usual := pool.Copy(book(100))
	require.Len(t, usual.Bids, 100)
	pool.Put(usual)
	require.GreaterOrEqual(t, cap(usual.Bids), 100)
	require.GreaterOrEqual(t, cap(usual.Asks), 100)

	huge := pool.Copy(book(10_000))
	require.Len(t, huge.Asks, 10_000)
	pool.Put(huge)
	require.Zero(t, cap(huge.Bids))
	require.Zero(t, cap(huge.Asks))

	var trades tickstorm.Pool[tickstorm.Trade]
	trade := trades.Copy(&tickstorm.Trade{Conditions: make([]int32, 10_000)})
	trades.Put(trade)
	require.Zero(t, cap(trade.Conditions))
}

// TestPoolConcurrent hands events from a parser to workers that put them back.
func TestPoolConcurrent(t *testing.T) {
	const events, workers = 2000, 4
	var pool tickstorm.Pool[tickstorm.Trade]
	out := make(chan *tickstorm.Trade, 64)
	var wg sync.WaitGroup
	var sum [workers]int
	for w := range workers {
		wg.Go(func() {
			for e := range out {
				n := int(e.Price)
				if string(e.ID) != fmt.Sprint(n) || len(e.Conditions) != 1+n%5 || int(e.Conditions[n%5]) != n || !bytes.Contains(e.Raw, e.ID) {
					t.Errorf("trade %d came as %s", n, e.AppendJSON(nil))
				}
				sum[w] += n
				pool.Put(e)
			}
		})
	}
	p := tickstorm.NewParser(tickstorm.Stocks)
	h := visitor(func(e tickstorm.Event) { out <- pool.Copy(e.(*tickstorm.Trade)) })
	for n := range events {
		msg := fmt.Sprintf(`[{"ev":"T","i":"%d","p":%d,"c":[%s%d]}]`, n, n, strings.Repeat("0,", n%5), n)
		require.NoError(t, p.Parse([]byte(msg), h))
	}
	close(out)
	wg.Wait()
	total := 0
	for _, s := range sum {
		total += s
	}
	require.Equal(t, events*(events-1)/2, total)
}

// TestEventErrorClone: the copy keeps the bytes of the broken element.
func TestEventErrorClone(t *testing.T) {
	h := &errorKeeper{}
	p := tickstorm.NewParser(tickstorm.Stocks)
	msg := []byte(`[{"ev":]`)
	require.Equal(t, tickstorm.ErrTruncated, p.Parse(msg, h))
	clear(msg)
	require.NoError(t, p.Parse([]byte(`[7]`), h))
	require.Equal(t, `{"ev":]`, string(h.kept[0].Raw))
	require.Equal(t, tickstorm.ErrTruncated, h.kept[0].Err)
	require.Equal(t, "7", string(h.kept[1].Raw))

	empty := &tickstorm.EventError{Err: tickstorm.ErrNotArray, Raw: []byte{}}
	require.Equal(t, empty, empty.Clone())
	require.EqualError(t, empty.Clone(), empty.Error())
	none := &tickstorm.EventError{Err: tickstorm.ErrNotArray}
	require.Equal(t, none, none.Clone())
}

type errorKeeper struct {
	tickstorm.NopHandler
	kept []*tickstorm.EventError
}

func (h *errorKeeper) OnError(e *tickstorm.EventError) {
	h.kept = append(h.kept, e.Clone())
	for i := range e.Raw {
		e.Raw[i] = '#'
	}
}
