package tickstorm_test

import (
	"github.com/tickstorm/tickstorm"
)

// recorder keeps a copy of everything it is given, in order.
type recorder struct {
	events []tickstorm.Event
	errors []*tickstorm.EventError
}

func (r *recorder) OnTrade(e *tickstorm.Trade)         { r.events = append(r.events, e.Clone()) }
func (r *recorder) OnQuote(e *tickstorm.Quote)         { r.events = append(r.events, e.Clone()) }
func (r *recorder) OnAggregate(e *tickstorm.Aggregate) { r.events = append(r.events, e.Clone()) }
func (r *recorder) OnBook(e *tickstorm.Book)           { r.events = append(r.events, e.Clone()) }
func (r *recorder) OnLULD(e *tickstorm.LULD)           { r.events = append(r.events, e.Clone()) }
func (r *recorder) OnImbalance(e *tickstorm.Imbalance) { r.events = append(r.events, e.Clone()) }
func (r *recorder) OnValue(e *tickstorm.Value)         { r.events = append(r.events, e.Clone()) }
func (r *recorder) OnStatus(e *tickstorm.Status)       { r.events = append(r.events, e.Clone()) }
func (r *recorder) OnUnknown(e *tickstorm.Unknown)     { r.events = append(r.events, e.Clone()) }
func (r *recorder) OnError(e *tickstorm.EventError)    { r.errors = append(r.errors, e.Clone()) }
