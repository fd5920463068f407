package tickstorm

import (
	"context"
	"log/slog"
)

// LogHandler prints every event, for a first look at a stream: statuses by what they
// mean, refusals as warnings and failures as errors; all else with its JSON. It
// allocates and is slow. The zero LogHandler prints to [slog.Default].
type LogHandler struct {
	Logger *slog.Logger
}

var _ Handler = LogHandler{}

func (h LogHandler) logger() *slog.Logger {
	if h.Logger == nil {
		return slog.Default()
	}
	return h.Logger
}

func (h LogHandler) log(e Event) {
	h.logger().Info(e.Kind().String(), "symbol", e.Head().Symbol, "event", string(e.AppendJSON(nil)))
}

// OnTrade prints the trade.
func (h LogHandler) OnTrade(e *Trade) { h.log(e) }

// OnQuote prints the quote.
func (h LogHandler) OnQuote(e *Quote) { h.log(e) }

// OnAggregate prints the aggregate.
func (h LogHandler) OnAggregate(e *Aggregate) { h.log(e) }

// OnBook prints the book.
func (h LogHandler) OnBook(e *Book) { h.log(e) }

// OnLULD prints the price band.
func (h LogHandler) OnLULD(e *LULD) { h.log(e) }

// OnImbalance prints the imbalance.
func (h LogHandler) OnImbalance(e *Imbalance) { h.log(e) }

// OnValue prints the value.
func (h LogHandler) OnValue(e *Value) { h.log(e) }

// OnStatus prints the status at the level of what it means.
func (h LogHandler) OnStatus(e *Status) {
	level := slog.LevelInfo
	switch e.Code() {
	case StatusAuthFailed, StatusNoPlan, StatusAuthTimeout, StatusMaxConnections:
		level = slog.LevelError
	case StatusNotAuthorized, StatusSubscriptionLimit, StatusNotRealTime, StatusRefused, StatusOther:
		level = slog.LevelWarn
	}
	h.logger().Log(context.Background(), level, "status",
		"code", e.Code().String(), "status", string(e.Status), "message", string(e.Message))
}

// OnUnknown prints the event as it came.
func (h LogHandler) OnUnknown(e *Unknown) {
	h.logger().Warn("unknown event", "ev", string(e.Event), "event", string(e.Raw))
}

// OnError prints what was no event.
func (h LogHandler) OnError(e *EventError) {
	h.logger().Error("no event", "err", e.Error())
}
