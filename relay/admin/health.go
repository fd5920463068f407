package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
)

func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // fails only if nobody reads it
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready   bool              `json:"ready"`
	Standby bool              `json:"standby,omitempty"`
	Markets []marketReadiness `json:"markets"`
}

type marketReadiness struct {
	Market tickstorm.Market `json:"market"`
	Ready  bool             `json:"ready"`
	Why    string           `json:"why,omitempty"`
	// Age is that of the last message in nanoseconds, null before the first.
	Age *int64 `json:"age"`
}

func (a *Admin) readyz(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	s := a.source.Stats()
	answer := readiness{Ready: !s.Standby, Standby: s.Standby}
	for i := range s.Markets {
		m := &s.Markets[i]
		r := marketReadiness{Market: m.Market, Age: age(now, m.Last)}
		r.Why = a.unready(now, s.Standby, m)
		r.Ready = r.Why == ""
		answer.Ready = answer.Ready && r.Ready
		answer.Markets = append(answer.Markets, r)
	}
	code := http.StatusOK
	if !answer.Ready {
		code = http.StatusServiceUnavailable
	}
	reply(w, code, answer)
}

// unready is why a market is not ready, "" if it is.
func (a *Admin) unready(now time.Time, standby bool, m *relay.MarketStats) string {
	switch {
	case standby:
		return "another relay has the lock"
	case m.Err != nil:
		return m.Err.Error()
	case !m.Up && m.Why != "":
		return m.Why
	case !m.Up:
		return m.State.String()
	case a.cfg.MaxAge > 0 && m.Granted > 0 && now.Sub(m.Last) > a.cfg.MaxAge:
		if m.Last.IsZero() {
			return "no message came yet"
		}
		return "no message came for " + now.Sub(m.Last).Round(time.Millisecond).String()
	}
	return ""
}

// age is how long ago something was, in nanoseconds; nil if it was not.
func age(now, then time.Time) *int64 {
	if then.IsZero() {
		return nil
	}
	n := max(0, now.Sub(then).Nanoseconds())
	return &n
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // fails only if nobody reads it
}
