package tickstorm_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// emptyOf returns a new event of the same kind.
func emptyOf(e tickstorm.Event) tickstorm.Event {
	return reflect.New(reflect.TypeOf(e).Elem()).Interface().(tickstorm.Event)
}

// TestFixturesComplete: the other tests mean "every channel, every key" only if the
// fixtures have them. An event that claims every field is written with every key.
func TestFixturesComplete(t *testing.T) {
	type place struct {
		market tickstorm.Market
		stream tickstorm.Stream
	}
	keys := make(map[place]map[string]bool)
	for _, f := range fixtures {
		for _, m := range f.markets {
			at := place{m, f.want.Head().Stream}
			if keys[at] == nil {
				keys[at] = make(map[string]bool)
			}
			for _, p := range pairsOf(f.live) {
				keys[at][p.key] = true
			}
			e := emptyOf(f.want)
			*e.Head() = tickstorm.Header{Market: m, Stream: at.stream, Has: ^tickstorm.Fields(0)}
			for _, p := range pairsOf(string(e.AppendJSON(nil))) {
				if _, ok := keys[at][p.key]; !ok {
					keys[at][p.key] = false
				}
			}
		}
	}
	for _, m := range tickstorm.Markets() {
		for _, s := range m.Streams() {
			require.NotEmpty(t, keys[place{m, s}], "%s on %s", s, m)
		}
	}
	for at, have := range keys {
		for key, ok := range have {
			require.True(t, ok, "no sample has %q of %s on %s", key, at.stream, at.market)
		}
	}
}

func TestEvents(t *testing.T) {
	const received = 1786000099123456789
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		shuffle := rand.New(rand.NewPCG(1, 2))
		texts := []string{f.live, f.documented, strings.NewReplacer(`":`, "\" :\t", `,"`, " ,\n\"").Replace(f.live)}
		for range 20 {
			pairs := pairsOf(f.live)
			shuffle.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
			texts = append(texts, objectOf(pairs...))
		}
		symbols := tickstorm.NewSymbols(0)
		symbols.Intern([]byte("an earlier symbol"))
		p := tickstorm.NewParser(m)
		p.SetSymbols(symbols)
		p.SetReceived(received)
		for i, text := range texts {
			p.SetBackfilled(i%2 == 1)
			p.SetReplayed(i%3 == 1)
			got := parseOne(t, p, text)
			requireSame(t, f.want, got)
			h := got.Head()
			require.Equal(t, m, h.Market)
			require.Equal(t, text, string(h.Raw))
			require.Equal(t, int64(received), h.Received)
			require.Equal(t, i%2 == 1, h.Backfilled)
			require.Equal(t, i%3 == 1, h.Replayed)
			if h.Symbol == "" {
				require.Zero(t, h.SymbolID)
			} else {
				require.Equal(t, uint32(2), h.SymbolID)
				require.Equal(t, h.Symbol, symbols.Symbol(2))
			}
		}
		s := p.Stats()
		require.Equal(t, uint64(len(texts)), s.Events[f.want.Kind()])
		require.Equal(t, s.Total(), s.Events[f.want.Kind()])
		require.Zero(t, s.UnknownKeys)
		require.Zero(t, s.Odd)
		require.Zero(t, s.NoSymbol)
		require.Zero(t, s.Errors)
	})
}

// TestFieldStates: for each key of each channel, absent, null and of a wrong type are
// told apart, read as zero, and leave every other field alone. All of it by one
// parser, whose events have had every field set just before.
func TestFieldStates(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		used, fresh := tickstorm.NewParser(m), tickstorm.NewParser(m)
		parse := func(element string) tickstorm.Event {
			requireSame(t, f.want, parseOne(t, used, f.live))
			return parseOne(t, used, element)
		}
		var seen tickstorm.Fields
		for _, k := range pairsOf(f.live)[1:] {
			absent := parse(withoutKey(f.live, k.key))
			bit := f.want.Head().Has &^ absent.Head().Has
			require.Zero(t, bit&(bit-1), "%q has one bit", k.key)
			require.NotZero(t, bit, k.key)
			require.Zero(t, seen&bit, "%q has a bit of its own", k.key)
			seen |= bit
			requireSame(t, parseOne(t, fresh, withoutKey(f.live, k.key)), absent)
			requireOneCleared(t, f.want, absent, k.key)

			null := parse(withValue(f.live, k.key, "null"))
			require.Equal(t, bit, null.Head().Null)
			require.Zero(t, null.Head().Odd)

			odd := parse(withValue(f.live, k.key, `{"a":[1]}`))
			require.Equal(t, bit, odd.Head().Odd)
			require.Zero(t, odd.Head().Null)

			for _, e := range []tickstorm.Event{null, odd} {
				require.Equal(t, absent.Head().Has, e.Head().Has)
				require.Equal(t, absent.Head().Symbol, e.Head().Symbol)
				require.Equal(t, absent.Head().SymbolID, e.Head().SymbolID)
				require.Equal(t, bodyOf(absent), bodyOf(e), k.key)
			}
		}
		require.Equal(t, f.want.Head().Has, seen)
		require.Equal(t, uint64(len(pairsOf(f.live))-1), used.Stats().Odd)
	})
}

// requireOneCleared checks that got is want but for one field, which is zero.
func requireOneCleared(t *testing.T, want, got tickstorm.Event, key string) {
	t.Helper()
	cleared := 0
	if want.Head().Symbol != got.Head().Symbol {
		require.Empty(t, got.Head().Symbol)
		require.Zero(t, got.Head().SymbolID)
		cleared++
	}
	w, g := reflect.ValueOf(bodyOf(want)), reflect.ValueOf(bodyOf(got))
	for i := range w.NumField() {
		if !reflect.DeepEqual(w.Field(i).Interface(), g.Field(i).Interface()) {
			require.True(t, g.Field(i).IsZero(), "%s of %q", w.Type().Field(i).Name, key)
			cleared++
		}
	}
	require.Equal(t, 1, cleared, key)
}

// TestReuse: nothing of a full event is left in an empty one behind it, nor the
// other way round.
func TestReuse(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		p := tickstorm.NewParser(m)
		p.SetReceived(11)
		p.SetBackfilled(true)
		requireSame(t, f.want, parseOne(t, p, f.live))
		p.SetReceived(22)
		p.SetBackfilled(false)
		bare := objectOf(pairsOf(f.live)[0])
		for range 2 {
			e := parseOne(t, p, bare)
			want := emptyOf(f.want)
			want.Head().Stream = f.want.Head().Stream
			requireSame(t, want, e)
			require.Equal(t, bare, string(e.Head().Raw))
			require.Equal(t, int64(22), e.Head().Received)
			require.False(t, e.Head().Backfilled)
			require.Zero(t, e.Head().SymbolID)
		}
		requireSame(t, f.want, parseOne(t, p, f.live))
	})
}

// TestReuseUnknown: an unknown event has nothing but its name, whatever came before.
func TestReuseUnknown(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Stocks)
	for _, name := range []string{"a long name", "ZZ", ""} {
		element := `{"ev":"` + name + `","sym":"ACME","p":1}`
		u, ok := parseOne(t, p, element).(*tickstorm.Unknown)
		require.True(t, ok)
		require.Equal(t, name, string(u.Event))
		require.Equal(t, element, string(u.Raw))
		require.Equal(t, tickstorm.Stocks, u.Market)
		require.Empty(t, u.Symbol)
		require.Zero(t, u.SymbolID)
		require.Zero(t, u.Stream)
		require.Zero(t, u.Has|u.Null|u.Odd)
	}
	require.Zero(t, p.Stats().UnknownKeys)
	require.Zero(t, p.Stats().NoSymbol)
}

// TestDuplicateKeys: of a key that occurs twice the first counts, also where it has
// no value.
func TestDuplicateKeys(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		p := tickstorm.NewParser(m)
		pairs := pairsOf(f.live)
		for _, k := range pairs[1:] {
			null := parseOne(t, p, withValue(f.live, k.key, "null"))
			odd := parseOne(t, p, withValue(f.live, k.key, "{}"))
			for _, second := range []string{"null", "{}", "[[3,4]]", `"5"`, k.value} {
				behind := append(slices.Clone(pairs), jsonPair{k.key, second})
				requireSame(t, f.want, parseOne(t, p, objectOf(behind...)))
			}
			requireSame(t, null, parseOne(t, p, objectOf(slices.Insert(slices.Clone(pairs), 1, jsonPair{k.key, "null"})...)))
			requireSame(t, odd, parseOne(t, p, objectOf(slices.Insert(slices.Clone(pairs), 1, jsonPair{k.key, "{}"})...)))
		}
		requireSame(t, f.want, parseOne(t, p, objectOf(append(slices.Clone(pairs), jsonPair{"ev", `"ZZ"`})...)))
		require.Zero(t, p.Stats().UnknownKeys)
	})
}

// TestEscapes: JSON may write any character of a key or a string as an escape.
func TestEscapes(t *testing.T) {
	escape := func(s string) string {
		var b strings.Builder
		for _, c := range s {
			fmt.Fprintf(&b, `\u%04X`, c)
		}
		return b.String()
	}
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		p := tickstorm.NewParser(m)
		for _, first := range []int{0, 1} {
			pairs := pairsOf(f.live)
			for i, k := range pairs {
				pairs[i].key = escape(k.key)
				if k.value[0] == '"' {
					pairs[i].value = `"` + escape(k.value[1:len(k.value)-1]) + `"`
				}
			}
			slices.Reverse(pairs[first:]) // with ev last and first
			requireSame(t, f.want, parseOne(t, p, objectOf(pairs...)))
		}
		require.Zero(t, p.Stats().UnknownKeys)
	})
}

// TestUnknownKeys: they are skipped and counted, whatever their value, and keys match
// exactly.
func TestUnknownKeys(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		p := tickstorm.NewParser(m)
		pairs := pairsOf(f.live)
		for _, key := range []string{"zz", "", "é", "symb", "Sym", "\\u0000", "EV", "\x7f"} {
			for _, value := range []string{"1", `"x"`, "null", `{"sym":"NO","p":[{"ev":"Q"}]}`, "[[],[[1]]]"} {
				requireSame(t, f.want, parseOne(t, p, objectOf(slices.Insert(slices.Clone(pairs), 1, jsonPair{key, value})...)))
				requireSame(t, f.want, parseOne(t, p, objectOf(slices.Insert(slices.Clone(pairs), 0, jsonPair{key, value})...)))
			}
		}
		require.Equal(t, uint64(8*5*2), p.Stats().UnknownKeys)
	})
}

// TestOtherMarkets: the same ev is unknown, or of another shape, where the market
// does not have it.
func TestOtherMarkets(t *testing.T) {
	for _, f := range fixtures {
		if f.want.Kind() == tickstorm.KindStatus {
			continue
		}
		name := strings.Trim(pairsOf(f.live)[0].value, `"`)
		for _, m := range append(tickstorm.Markets(), "bonds", "", "stocks2", "Stocks") {
			e := parseOne(t, tickstorm.NewParser(m), f.live)
			s, ok := m.StreamOf(name)
			if !ok {
				require.Equal(t, tickstorm.KindUnknown, e.Kind(), "%s on %s", name, m)
				require.Equal(t, name, string(e.(*tickstorm.Unknown).Event))
				continue
			}
			require.NotEqual(t, tickstorm.KindUnknown, e.Kind(), "%s on %s", name, m)
			require.Equal(t, s, e.Head().Stream)
		}
	}
}
