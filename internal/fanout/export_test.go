package fanout

// Lent returns how many buffers somebody has.
func (h *Hub) Lent() int {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	return h.pool.lent
}

// Symbols returns how many symbols the table has, held or not.
func (h *Hub) Symbols() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for i := range h.channels {
		if s := h.channels[i].symbols; s != nil {
			n += s.Len()
		}
	}
	return n
}
