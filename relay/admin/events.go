package admin

import (
	"net/http"
	"time"
)

// viewerPatience is how long somebody who views may take nothing.
const viewerPatience = 10 * time.Second

// events tells each snapshot as a server-sent event, the last one at once, until the viewer has
// gone or Run ends.
func (a *Admin) events(w http.ResponseWriter, r *http.Request) {
	if a.viewers.Add(1) > int64(a.cfg.MaxViewers) {
		a.viewers.Add(-1)
		http.Error(w, "too many have the page open", http.StatusServiceUnavailable)
		return
	}
	defer a.viewers.Add(-1)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	var event []byte
	for {
		a.mu.Lock()
		latest, turn := a.latest, a.turn
		a.mu.Unlock()
		_ = control.SetWriteDeadline(time.Now().Add(viewerPatience)) // where there is none a viewer may hang
		event = event[:0]
		if latest == nil {
			event = append(event, ": nothing yet\n\n"...)
		} else {
			event = append(append(append(event, "data: "...), latest...), "\n\n"...)
		}
		if _, err := w.Write(event); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-turn:
		case <-r.Context().Done():
			return
		case <-a.over:
			return
		}
	}
}
