//go:build !race && !tickstorm_poison

package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
)

// TestEncodeAlloc: once a symbol is known, a row of the tables costs no allocation.
func TestEncodeAlloc(t *testing.T) {
	for market, elements := range map[tickstorm.Market][]string{
		tickstorm.Stocks: {
			`{"ev":"T","sym":"AAPL","i":"52983525029461","x":4,"p":210.25,"s":100,"c":[12,37],"t":1764082800123,"q":1064,"z":3,"ds":"100.000000"}`,
			`{"ev":"Q","sym":"MSFT","c":1,"i":[604],"bx":4,"ax":7,"bp":114.125,"ap":114.128,"bs":100,"as":160,"t":1764082800123,"q":50385480,"z":3}`,
			`{"ev":"AM","sym":"GTE","v":4110,"av":9470157,"op":0.4372,"vw":0.4488,"o":0.4488,"c":0.4486,"h":0.4489,"l":0.4486,"a":0.4352,"z":685,"s":1764082800000,"e":1764082860000,"dv":"4110.5"}`,
			`{"ev":"LULD","T":"MSFT","h":218.06,"l":197.36,"i":[17],"z":3,"t":1764082800123456789,"q":7}`,
			`{"ev":"NOI","T":"NTEST.Q","t":1764082800123456789,"at":930,"a":"M","i":44,"x":10,"o":480,"p":440,"b":25.03}`,
			`{"ev":"FMV","fmv":189.22,"sym":"AAPL","t":1764082800123456789}`,
			`{"ev":"status","status":"success","message":"subscribed to: T.AAPL"}`,
			`{"ev":"NEW","x":[1]}`,
		},
		tickstorm.Crypto: {`{"ev":"XL2","pair":"BTC-USD","t":1764082800123,"r":1764082800125,"x":6,"b":[[93056.02,0.00000005],[93055.96,0.0904]],"a":[]}`},
	} {
		e := newEncoder()
		var rows []sink.Row
		for i, raw := range elements {
			rows = append(rows, sink.Row{
				ID:     sink.ID{Cursor: record.Cursor{Segment: "stocks-20261125T143000.000Z-000001", Sequence: uint64(i)}},
				Market: market, Channel: "T", Received: 1764082800123456789, Raw: []byte(raw),
			})
		}
		fill := func() {
			e.reset()
			for range 50 {
				for i := range rows {
					if err := e.add(&rows[i], 1); err != nil {
						panic(err)
					}
				}
			}
		}
		fill()
		require.Zero(t, testing.AllocsPerRun(20, fill), "%s", market)
	}
}
