package fanout_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// TestSymbolsOfAnyLength: symbols that begin alike, or that zeros follow, are different ones, however
// many there are; who holds one gets its events and no others, and when the last one came is known.
func TestSymbolsOfAnyLength(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var symbols []string
		for _, n := range []int{0, 1, 7, 8, 9, 15, 16, 17, 23, 24, 25, 26, 40, 255, 256, 300} {
			symbols = append(symbols, strings.Repeat("S", n), strings.Repeat("S", n)+"\x00", strings.Repeat("S", n)+"\x00\x00")
		}
		for i := range 2000 {
			symbols = append(symbols, fmt.Sprint("N", i), fmt.Sprint("AND-SO-MUCH-LONGER-ONES-", i))
		}
		var topics []tickstorm.Topic
		for _, s := range symbols {
			topics = append(topics, tickstorm.Topic{Channel: "T", Symbol: s})
		}
		h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
		conns := [2]*sink{newSink(), newSink()}
		var outlets [2]*fanout.Outlet
		for i, conn := range conns { // of each two symbols one
			outlets[i] = h.Join(conn, fanout.OutletConfig{})
			for at := i; at < len(topics); at += 2 {
				outlets[i].Subscribe(topics[at])
			}
		}
		require.Equal(t, len(symbols), h.Symbols())
		message := func(at int) (string, string) {
			name, err := json.Marshal(symbols[at])
			require.NoError(t, err)
			e := `{"ev":"T","sym":` + string(name) + `}`
			return e, `[{"ev":"T","sym":"S-"},` + e + `]`
		}
		for at := range symbols {
			e, msg := message(at)
			h.Message([]byte(msg), int64(at+1))
			synctest.Wait()
			require.Equal(t, []string{"[" + e + "]"}, conns[at%2].written(t), symbols[at])
			require.Empty(t, conns[1-at%2].written(t), symbols[at])
		}
		for at := range symbols {
			require.EqualValues(t, at+1, h.Last(topics[at]), symbols[at])
		}
		for at := 0; at < len(symbols); at += 4 {
			outlets[0].Unsubscribe(topics[at])
		}
		for at := 0; at < len(symbols); at += 2 {
			_, msg := message(at)
			h.Message([]byte(msg), 1)
			synctest.Wait()
			require.Equal(t, at%4 != 0, len(conns[0].written(t)) > 0, symbols[at])
		}
		for i, o := range outlets {
			require.Empty(t, conns[1].written(t), i)
			o.Cut()
			<-o.Done()
		}
	})
}
