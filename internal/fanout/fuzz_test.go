package fanout_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// FuzzMessage: of any message come out the events that a Splitter finds in it, in arrays, for who
// wants all and for who wants each channel and symbol by itself.
func FuzzMessage(f *testing.F) {
	for _, msg := range []string{
		`[{"ev":"T","sym":"A"},{"ev":"Q","sym":"B","p":1}]`, `{"ev":"T"}`, `[7,{"ev":"X"},{"ev":"status"}]`,
		`[ {"sym":"\u0041" , "ev":"AM"} , {"ev":"LULD","T":"A"}]x`, `[{"ev":"T","sym":"A"`,
	} {
		f.Add([]byte(msg))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		if !utf8.Valid(msg) {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			var want []string
			wanted := map[tickstorm.Topic]bool{}
			s := tickstorm.NewSplitter(tickstorm.Stocks)
			s.SetValidate(true)
			for s.Reset(msg); s.Next(); {
				e := s.Element()
				if e.Err != nil || e.Kind == tickstorm.KindStatus {
					continue
				}
				want = append(want, string(msg[e.Start:e.End]))
				topic := tickstorm.Topic{Channel: e.Channel, Symbol: tickstorm.All}
				if e.Symbol != nil {
					topic.Symbol = string(e.Symbol)
				}
				wanted[topic] = true
			}
			h := fanout.New(fanout.Config{Market: tickstorm.Stocks, Validate: true})
			whole, single := newSink(), newSink()
			all, each := h.Join(whole, fanout.OutletConfig{Bytes: 16 << 20}), h.Join(single, fanout.OutletConfig{Bytes: 16 << 20})
			for topic := range wanted {
				each.Subscribe(topic)
				all.Subscribe(tickstorm.Topic{Channel: topic.Channel, Symbol: tickstorm.All})
			}
			h.Message(msg, 1)
			synctest.Wait()
			for name, conn := range map[string]*sink{"all": whole, "each": single} {
				var got []string
				for _, frame := range conn.written(t) {
					got = append(got, elements(t, frame)...)
				}
				require.Equal(t, want, got, "%s of %s", name, fmt.Sprintf("%q", msg))
			}
			for _, o := range []*fanout.Outlet{all, each} {
				o.Close(1000, strings.Repeat("x", 200))
				<-o.Done()
			}
			require.Zero(t, h.Lent())
		})
	})
}
