package top

// histories are those of the last snapshots, oldest first; what is not known is negative.
type histories struct{ rate, bytes, p50, p99 []float64 }

// remember takes a snapshot, and gives it the histories that it ends.
func (h *histories) remember(s *Snapshot) {
	h.rate, h.bytes = remember(h.rate, s.EventRate), remember(h.bytes, s.ByteRate)
	h.p50, h.p99 = remember(h.p50, orUnknown(s.LagP50)), remember(h.p99, orUnknown(s.LagP99))
	s.history = *h
}

func orUnknown(v *float64) float64 {
	if v == nil {
		return -1
	}
	return *v
}

// historyLength is how many snapshots they go back.
const historyLength = 120

// remember appends to a history, and leaves the older one, which a snapshot may have, as it is.
func remember(h []float64, v float64) []float64 {
	h = append(h, v)
	return h[max(0, len(h)-historyLength):]
}
