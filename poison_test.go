//go:build race || tickstorm_poison

package tickstorm_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// lentSlices returns the slices of an event as a careless handler would keep them,
// and a copy of each.
func lentSlices(e tickstorm.Event) (kept, copies []any) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			f := v.Field(i)
			switch {
			case f.Kind() == reflect.Struct:
				walk(f)
			case f.Kind() == reflect.Slice && f.Len() > 0:
				c := reflect.MakeSlice(f.Type(), f.Len(), f.Len())
				reflect.Copy(c, f)
				kept, copies = append(kept, f.Interface()), append(copies, c.Interface())
			}
		}
	}
	walk(reflect.ValueOf(e).Elem())
	return kept, copies
}

// TestPoisonedEvents: whoever keeps an event, or a slice of it, beyond the handler's
// method must read nonsense in every field that had a value.
func TestPoisonedEvents(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		p := tickstorm.NewParser(m)
		p.SetReceived(9)
		var kept tickstorm.Event
		var slices, copies []any
		require.NoError(t, p.Parse([]byte("["+f.live+"]"), visitor(func(e tickstorm.Event) {
			requireSame(t, f.want, e)
			kept = e
			slices, copies = lentSlices(e)
		})))
		requirePoisoned(t, f.want, kept, slices, copies)
	})
}

func TestPoisonedUnknown(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Stocks)
	var kept tickstorm.Event
	var slices, copies []any
	require.NoError(t, p.Parse([]byte("["+unknownFixture.live+"]"), visitor(func(e tickstorm.Event) {
		kept = e
		slices, copies = lentSlices(e)
	})))
	require.Len(t, slices, 2)
	requirePoisoned(t, unknownFixture.want, kept, slices, copies)
}

// TestPoisonedCopies: what was put back in a pool is the pool's.
func TestPoisonedCopies(t *testing.T) {
	for _, f := range append(fixtures, unknownFixture) {
		t.Run(f.name, func(t *testing.T) {
			var p pools
			kept := p.copyOf(parseOne(t, tickstorm.NewParser(f.markets[0]), f.live))
			slices, copies := lentSlices(kept)
			p.put(kept)
			for i := range slices {
				require.NotEqual(t, copies[i], slices[i])
			}
		})
	}
}

func requirePoisoned(t *testing.T, want, kept tickstorm.Event, slices, copies []any) {
	t.Helper()
	require.NotEmpty(t, slices)
	for i := range slices {
		require.NotEqual(t, copies[i], slices[i])
		if b, ok := slices[i].([]byte); ok {
			require.Equal(t, bytes.Repeat([]byte{0xCC}, len(b)), b)
		}
	}
	require.Nil(t, kept.Head().Raw)
	require.NotEqual(t, int64(9), kept.Head().Received)
	if want.Head().Symbol != "" {
		require.NotEqual(t, want.Head().Symbol, kept.Head().Symbol)
		require.Greater(t, kept.Head().SymbolID, uint32(1))
	}
	w, k := reflect.ValueOf(bodyOf(want)), reflect.ValueOf(bodyOf(kept))
	for i := range w.NumField() {
		if f := w.Field(i); f.IsZero() || f.Kind() == reflect.Bool {
			continue // a flag has no value that is nonsense
		}
		require.NotEqual(t, w.Field(i).Interface(), k.Field(i).Interface(), w.Type().Field(i).Name)
	}
}

// TestPoisonedErrors: the same holds for the bytes of a broken element.
func TestPoisonedErrors(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Stocks)
	var h carelessErrors
	require.NoError(t, p.Parse([]byte(`[{"ev"},12]`), &h))
	require.Equal(t, [][]byte{bytes.Repeat([]byte{0xCC}, 6), {0xCC, 0xCC}}, h.raw)
	require.Nil(t, h.kept.Raw)
	require.NoError(t, h.kept.Err)
}

type carelessErrors struct {
	tickstorm.NopHandler
	kept *tickstorm.EventError
	raw  [][]byte
}

func (h *carelessErrors) OnError(e *tickstorm.EventError) {
	h.kept = e
	h.raw = append(h.raw, e.Raw)
}

// TestPoisonedMessage: and for the message given to OnRaw.
func TestPoisonedMessage(t *testing.T) {
	for _, decode := range []bool{false, true} {
		h := &carelessRaw{decode: decode}
		msg := []byte(`[{"ev":"status","status":"connected"}]`)
		before := bytes.Clone(msg)
		require.NoError(t, tickstorm.NewParser(tickstorm.Stocks).Parse(msg, h))
		require.Equal(t, bytes.Repeat([]byte{0xCC}, len(msg)), h.msg)
		require.Equal(t, before, msg)
		require.Equal(t, tickstorm.StatusConnected, h.code)
	}
}

type carelessRaw struct {
	tickstorm.NopHandler
	decode bool
	msg    []byte
	code   tickstorm.StatusCode
}

func (h *carelessRaw) OnRaw(msg []byte, _ int64) bool {
	h.msg = msg
	return h.decode
}

func (h *carelessRaw) OnStatus(s *tickstorm.Status) { h.code = s.Code() }
