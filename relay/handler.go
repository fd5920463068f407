package relay

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
)

// handshakes is how many connections beyond Config.MaxClients may be open, to be refused in
// words.
const handshakes = 64

// ServeHTTP lets a client in, whose connection goes on when it has returned. The path is the market.
// So a server can be mounted into another one's [http.ServeMux], below a prefix by
// [http.StripPrefix]. It needs a server that can be hijacked, and [Server.Run] to be under way,
// which it waits for as long as the handshake may take. On an address that other machines can
// reach it needs TLS and Config.Keys, or Config.Insecure.
//
// What it refuses it refuses by a status: 404 for a market without upstream, 403 for an unknown
// Origin and for clients of other machines, 429 for addresses that wrong keys come from again and
// again, 503 while it has too many clients, is a standby, is ending or has lost its upstream for
// good, 400 for a query that makes no sense, 400 and 426 for what is no WebSocket. A wrong key is
// refused in the vendor's words.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := s.markets[tickstorm.Market(strings.Trim(r.URL.Path, "/"))]
	code, reason := s.admits(r, m)
	if wait := s.doorman.wait(r.RemoteAddr); code == 0 && wait > 0 {
		code, reason = http.StatusTooManyRequests, "too many wrong keys"
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	}
	wish, err := s.cfg.wishOf(r.URL.RawQuery)
	if code == 0 && err != nil {
		code, reason = http.StatusBadRequest, err.Error()
	}
	wish.said = wish.said || r.Header.Get(snapshotHeader) == "0"
	if code == 0 && !s.enter() {
		code, reason = http.StatusServiceUnavailable, "the relay has too many clients, or is ending"
	}
	if code != 0 {
		s.mu.Lock()
		s.refused++
		s.mu.Unlock()
		s.log.Info("relay: refused", "from", r.RemoteAddr, "path", r.URL.Path, "reason", reason)
		http.Error(w, reason, code)
		return
	}
	nc, early, err := upgrade(w, r, s.cfg.HandshakeTimeout)
	if err != nil {
		s.mu.Lock()
		s.refused++
		s.entered--
		s.mu.Unlock()
		s.serving.Done()
		s.log.Info("relay: handshake failed", "from", r.RemoteAddr, "err", err)
		return
	}
	c := newConn(m, nc, r.RemoteAddr, wish)
	s.mu.Lock()
	s.last++
	c.id = s.last
	s.clients[c] = struct{}{}
	ended := s.ended
	s.mu.Unlock()
	if ended { // since it was let in
		c.part(restart, "restart")
	}
	in := credentialsOf(r)
	go func() { // without what net/http keeps for a request
		defer s.serving.Done()
		defer s.remove(c)
		c.serve(early, in)
	}()
}

// admits returns why a request is refused; 0 if it is not.
func (s *Server) admits(r *http.Request, m *market) (code int, reason string) {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && !s.mayServe(addr, r.TLS != nil) {
		return http.StatusForbidden, "the relay serves its own machine only"
	}
	for _, origin := range r.Header.Values("Origin") {
		if !s.origins[origin] {
			return http.StatusForbidden, "this Origin may not connect"
		}
	}
	if m == nil {
		return http.StatusNotFound, "no such market"
	}
	if s.standby() {
		return http.StatusServiceUnavailable, "the relay is a standby"
	}
	patience := time.NewTimer(s.cfg.HandshakeTimeout)
	defer patience.Stop()
	select {
	case <-m.begun:
	case <-patience.C:
		return http.StatusServiceUnavailable, "the relay does not run"
	case <-s.closing:
		return http.StatusServiceUnavailable, "the relay is ending"
	case <-r.Context().Done():
		return http.StatusServiceUnavailable, "the client has gone"
	}
	if err := m.err(); err != nil && verdict(err) == nil {
		return http.StatusServiceUnavailable, lost
	}
	return 0, ""
}

// enter takes a place for a client, if there is one.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.entered >= s.cfg.MaxClients {
		return false
	}
	s.entered++
	s.serving.Add(1)
	return true
}

// upgrade makes the connection a WebSocket. early is what the client has sent behind the
// handshake.
func upgrade(w http.ResponseWriter, r *http.Request, timeout time.Duration) (nc net.Conn, early []byte, err error) {
	nc, rw, _, err := ws.HTTPUpgrader{Timeout: timeout}.Upgrade(r, w)
	if err != nil {
		if nc != nil { // it was hijacked, and answered
			_ = nc.Close()
		}
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		peeked, _ := rw.Reader.Peek(n) // what is buffered is there
		early = append(early, peeked...)
	}
	_ = nc.SetDeadline(time.Time{}) // fails only if it is closed
	return nc, early, nil
}
