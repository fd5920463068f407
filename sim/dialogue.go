package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/redact"
)

// This file is the server's side of the dialogue: the vendor's greeting, keys,
// subscriptions and their answers, in the vendor's words.

const (
	textNoPlan = "Your plan doesn't include websocket access. Visit https://massive.com/pricing to upgrade."
	textLimit  = "Subscription limit reached for feed. Please remove some subscriptions and try again."
	textDelay  = "You don't have access real-time data. If your plan only includes delayed data, " +
		"you can connect to the delayed websocket at wss://delayed.polygon.io/stocks."
	textMaxConnections = "Maximum number of websocket connections exceeded. " // the space is the vendor's
)

// maxRequests is how many requests of a connection are kept.
const maxRequests = 10_000

// The words of older servers, and of mock servers, for those of today.
var oldWords = map[statusText]statusText{
	{"auth_success", "authenticated"}:        {"success", "authenticated"},
	{"auth_failed", "authentication failed"}: {"error", "authentication failed"},
	{"auth_failed", textNoPlan}:              {"error", textNoPlan},
	{"max_connections", textMaxConnections}:  {"disconnected", textMaxConnections},
}

// ear receives what the client sends.
type ear struct{ c *Conn }

func (e ear) OnMessage(op ws.OpCode, p []byte) error {
	if op == ws.OpText && !e.c.finishing.Load() {
		e.c.request(p)
	}
	return nil
}

func (e ear) OnControl(op ws.OpCode, _ []byte) {
	n := &e.c.server.counters
	switch op {
	case ws.OpPing:
		n.pings.Add(1)
	case ws.OpPong:
		n.pongs.Add(1)
	}
	e.c.server.change()
}

type statusText struct{ status, message string }

// appendStatuses appends a message of status events.
func appendStatuses(dst []byte, statuses ...statusText) []byte {
	e := tickstorm.Status{Header: tickstorm.Header{Has: tickstorm.StatusStatus | tickstorm.StatusMessage}}
	dst = append(dst, '[')
	for i, s := range statuses {
		if i > 0 {
			dst = append(dst, ',')
		}
		e.Status, e.Message = []byte(s.status), []byte(s.message)
		dst = e.AppendJSON(dst)
	}
	return append(dst, ']')
}

// sendStatuses sends statuses, some in each message.
func (c *Conn) sendStatuses(statuses ...statusText) {
	if c.server.cfg.OldWords {
		for i, s := range statuses {
			if old, ok := oldWords[s]; ok {
				statuses[i] = old
			}
		}
	}
	for some := range slices.Chunk(statuses, acksPerMessage) {
		c.out.append(appendFrame(nil, ws.OpText, appendStatuses(nil, some...)))
	}
}

// request answers one message of the client. What is not a request is ignored, unless
// Config.OldWords says otherwise.
func (c *Conn) request(p []byte) {
	var r struct{ Action, Params string }
	err := json.Unmarshal(p, &r)
	c.record(p, r.Action, r.Params, err)
	if err != nil {
		if c.server.cfg.OldWords {
			c.sendStatuses(statusText{"error", "Invalid JSON"})
		}
		return
	}
	switch r.Action {
	case "auth":
		c.auth(strings.TrimSpace(r.Params))
	case "subscribe":
		c.subscribe(r.Params)
	case "unsubscribe":
		c.unsubscribe(r.Params)
	}
}

// record keeps a request for the test to see, without keys: neither the ones that the
// server knows nor a wrong one.
func (c *Conn) record(p []byte, action, params string, err error) {
	text := string(p)
	switch {
	case err != nil && strings.Contains(text, "auth"):
		text = redact.Mask
	case action == "auth" && params != "":
		text = `{"action":"auth","params":"` + redact.Mask + `"}`
	}
	c.mu.Lock()
	known := append(slices.Collect(maps.Keys(c.server.cfg.Keys)), c.key)
	slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) }) // one may be the beginning of another
	for _, key := range known {
		text = redact.String(text, key)
	}
	if len(c.requests) < maxRequests {
		c.requests = append(c.requests, text)
	}
	c.mu.Unlock()
	c.server.counters.requests.Add(1)
	c.server.cfg.Logger.Debug("sim: request", "conn", c.id, "text", text)
	c.server.change()
}

func (c *Conn) authTimeout() {
	if c.Authenticated() || c.finishing.Load() {
		return
	}
	c.sendStatuses(statusText{"auth_timeout", "No authentication request received."})
	c.finish(Drop())
}

func (c *Conn) auth(key string) {
	if c.Authenticated() {
		return
	}
	c.queueFaults(OnAuth)
	s := c.server
	plan, known := s.cfg.plan(key)
	refusal := ""
	switch {
	case !known:
		refusal = "authentication failed"
	case plan.Markets != nil && !slices.Contains(plan.Markets, c.market):
		refusal = textNoPlan
	}
	if refusal != "" {
		s.counters.badKeys.Add(1)
		c.sendStatuses(statusText{"auth_failed", refusal})
		c.finish(Drop())
		s.change()
		return
	}
	c.admit(key, plan)
	c.sendStatuses(statusText{"auth_success", "authenticated"})
	if plan.NotRealTime {
		c.sendStatuses(statusText{"error", textDelay})
	}
	if !s.cfg.Quiet || s.cfg.Replay != nil {
		c.workers.Go(c.stream)
	}
	s.change()
}

// admit makes the connection an authenticated one, and another one leave if it is one
// too many.
func (c *Conn) admit(key string, plan Plan) {
	s := c.server
	s.admission.Lock()
	defer s.admission.Unlock()
	most := plan.MaxConnections
	if most == 0 {
		most = s.cfg.MaxConnections
	}
	excess := false
	if rivals := s.rivals(c, key); most > 0 && len(rivals) >= most {
		if excess = s.cfg.Eviction == EvictNewcomer; !excess {
			for _, o := range rivals[:len(rivals)-most+1] {
				o.evict(Drop())
			}
		}
	}
	c.mu.Lock()
	c.authenticated, c.key, c.plan, c.excess = true, key, plan, excess
	c.mu.Unlock()
}

// evict ends a connection that is one too many.
func (c *Conn) evict(how Action) {
	c.mu.Lock()
	c.excess = true
	c.mu.Unlock()
	c.server.counters.evicted.Add(1)
	c.server.cfg.Logger.Info("sim: connection evicted", "conn", c.id)
	c.streaming.Lock()
	c.sendStatuses(statusText{"max_connections", textMaxConnections})
	c.finish(how)
	c.streaming.Unlock()
	c.server.change()
}

// asked is one part of a request: a topic and its one spelling.
type asked struct {
	topic tickstorm.Topic // as requested
	id    tickstorm.Topic // canonical
}

// topics takes a request's params apart. What is no topic of this market is left out:
// the vendor answers it with silence.
func (c *Conn) topics(params string) []asked {
	var topics []asked
	for part := range strings.SplitSeq(params, ",") {
		channel, symbol, ok := strings.Cut(strings.TrimSpace(part), ".")
		if _, known := c.market.StreamOf(channel); !ok || !known || symbol == "" {
			continue
		}
		t := tickstorm.Topic{Channel: channel, Symbol: symbol}
		topics = append(topics, asked{t, c.market.Canonical(t)})
	}
	return topics
}

func (c *Conn) subscribe(params string) {
	c.mu.Lock()
	ready, plan, excess := c.authenticated, c.plan, c.excess
	c.mu.Unlock()
	if !ready {
		return
	}
	c.queueFaults(OnSubscribe)
	if plan.NotRealTime {
		c.sendStatuses(statusText{"error", textDelay})
		return
	}
	var refused []statusText
	var accepted []string
	var added []tickstorm.Topic
	c.mu.Lock()
	topics := c.topics(params)
	if n := c.overLimit(topics); n > 0 {
		topics = nil
		for range n {
			refused = append(refused, statusText{"error", textLimit})
		}
	}
	for _, t := range topics {
		if !plan.allows(t.topic.Channel) {
			refused = append(refused, statusText{"error", "not authorized"})
			continue
		}
		if _, held := c.held[t.id]; held {
			continue
		}
		c.held[t.id] = struct{}{}
		added = append(added, t.id)
		accepted = append(accepted, t.topic.String())
	}
	c.mu.Unlock()
	c.answer(refused, c.acks("subscribed", "to", accepted), func() {
		for _, t := range added {
			c.generator.Subscribe(t)
			c.wants.set(t, true)
		}
	})
	if excess {
		c.evict(Close(int(ws.StatusPolicyViolation), ""))
	}
}

func (c *Conn) unsubscribe(params string) {
	var accepted []string
	var removed []tickstorm.Topic
	c.mu.Lock()
	if c.authenticated {
		for _, t := range c.topics(params) {
			if _, held := c.held[t.id]; held {
				delete(c.held, t.id)
				removed = append(removed, t.id)
				accepted = append(accepted, t.topic.String())
			}
		}
	}
	c.mu.Unlock()
	preposition := "to"
	if c.server.cfg.OldWords {
		preposition = "from"
	}
	c.answer(nil, c.acks("unsubscribed", preposition, accepted), func() {
		for _, t := range removed {
			c.generator.Unsubscribe(t)
			c.wants.set(t, false)
		}
	})
}

// acks returns the acknowledgements of topics in the server's style.
func (c *Conn) acks(what, preposition string, topics []string) []statusText {
	if len(topics) == 0 {
		return nil
	}
	var acks []statusText
	switch c.server.cfg.Acks {
	case AckTopics:
		for _, topic := range topics {
			acks = append(acks, statusText{"success", what + " " + preposition + ": " + topic})
		}
	case AckList:
		acks = append(acks, statusText{"success", what + " " + preposition + ": " + strings.Join(topics, ",")})
	case AckRequest:
		acks = append(acks, statusText{"success", what})
	}
	return acks
}

// answer sends the answers to a request and then lets the change take effect on the
// stream: no event of a topic comes before it is acknowledged, and none after it has
// been given up.
func (c *Conn) answer(refused, accepted []statusText, change func()) {
	c.streaming.Lock()
	change()
	c.sendStatuses(append(refused, accepted...)...)
	c.streaming.Unlock()
	signal(c.subscribed)
	c.server.change()
}

// overLimit returns how many contracts of a request are refused because it would go
// beyond the limit of an option channel: all or none. mu is held.
func (c *Conn) overLimit(topics []asked) int {
	most := c.server.cfg.OptionLimit
	if c.market != tickstorm.Options || most < 0 {
		return 0
	}
	refused := 0
	for _, channel := range [...]string{"Q", "FMV", "LV"} {
		held, asked, more := 0, 0, make(map[string]bool)
		for t := range c.held {
			if t.Channel == channel {
				held++
			}
		}
		all := false
		for _, t := range topics {
			if t.id.Channel != channel {
				continue
			}
			asked++
			all = all || t.id.Symbol == tickstorm.All
			if _, dup := c.held[t.id]; !dup {
				more[t.id.Symbol] = true
			}
		}
		if all || len(more) > 0 && held+len(more) > most {
			refused += asked
		}
	}
	return refused
}
