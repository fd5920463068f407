package admin

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm/relay"
)

// This file is what is told of clients, of which there may be many.

// maxShown is how many clients the page shows.
const maxShown = 200

// shown are clients in the order of their arrival: of many those with the fullest queues, and of these
// those with the most drops.
func (a *Admin) shown(now time.Time) []clientStatus {
	worst := func(a, b clientStatus) int {
		return cmp.Or(-cmp.Compare(a.Queued, b.Queued), -cmp.Compare(a.Dropped, b.Dropped), cmp.Compare(a.ID, b.ID))
	}
	some := []clientStatus{}
	for c := range a.source.Clients() {
		if some = append(some, clientOf(now, &c)); len(some) == 2*maxShown {
			slices.SortFunc(some, worst)
			some = some[:maxShown]
		}
	}
	if len(some) > maxShown {
		slices.SortFunc(some, worst)
		some = some[:maxShown]
	}
	slices.SortFunc(some, func(a, b clientStatus) int { return cmp.Compare(a.ID, b.ID) })
	return some
}

func clientOf(now time.Time, c *relay.ClientStats) clientStatus {
	return clientStatus{
		ID: c.ID, Name: c.Key, Address: c.From, Market: c.Market, Topics: c.Topics, For: now.Sub(c.Since).Nanoseconds(),
		Queued: c.Bytes, Limit: c.Limit, Waiting: c.Waiting, Sent: c.Octets,
		Written: c.Written, Dropped: c.Dropped, Conflated: c.Conflated, Recalled: c.Recalled,
		DelayP50: quantile(&c.Delay, 0.5), DelayP99: quantile(&c.Delay, 0.99),
	}
}

// clients tells of all, or of those whose name or address contains a query, up to a limit, each as it is
// when its turn comes: there may be many.
func (a *Admin) clients(w http.ResponseWriter, r *http.Request) {
	query := strings.ToLower(r.URL.Query().Get("q"))
	limit, ok := bounded(r, "limit", math.MaxInt, math.MaxInt)
	if !ok || len(query) > maxQuery {
		http.Error(w, "limit is a number, and q has 256 bytes at most", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	control := http.NewResponseController(w)
	now := time.Now()
	n := 0
	text := []byte{'['}
	for c := range a.source.Clients() {
		if n == limit {
			break
		}
		if query != "" && !strings.Contains(strings.ToLower(c.Key), query) && !strings.Contains(c.From, query) {
			continue
		}
		one, err := json.Marshal(clientOf(now, &c))
		if err != nil {
			panic("relay/admin: a client that is no JSON: " + err.Error())
		}
		if n > 0 {
			text = append(text, ',')
		}
		n++
		if text = append(text, one...); len(text) < clientsAtOnce {
			continue
		}
		_ = control.SetWriteDeadline(time.Now().Add(viewerPatience)) // where there is none a viewer may hang
		if _, err := w.Write(text); err != nil {
			return
		}
		text = text[:0]
	}
	_ = control.SetWriteDeadline(time.Now().Add(viewerPatience))
	_, _ = w.Write(append(text, "]\n"...)) // fails only if nobody reads it
}

// clientsAtOnce is how many bytes of /clients are made before they are written.
const clientsAtOnce = 32 << 10
