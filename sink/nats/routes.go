package nats

import (
	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// routes are where elements go, by what of a row that depends on.
type routes struct {
	layout Layout
	known  map[routeKey]route
}

type routeKey struct {
	market  tickstorm.Market
	channel string
	symbol  uint32
}

// route is where the elements of a symbol and channel go.
type route struct {
	subject   string
	partition int
}

// maxRoutes bounds the subjects that are kept. Those of others are made for each message.
const maxRoutes = 1 << 18

func newRoutes(l Layout) routes { return routes{l, map[routeKey]route{}} }

// of returns where an element goes.
func (r *routes) of(row *sink.Row) route {
	key := routeKey{row.Market, row.Channel, row.SymbolID}
	if to, ok := r.known[key]; ok {
		return to
	}
	p := r.layout.Partition(row.Symbol)
	to := route{r.layout.Subject(row, p), p}
	if len(r.known) < maxRoutes && (row.SymbolID != 0 || row.Symbol == "") {
		r.known[key] = to
	}
	return to
}
