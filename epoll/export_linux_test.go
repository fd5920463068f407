package epoll

import "syscall"

// Narrow has the kernel take so many bytes more of what d writes and then no more, as it
// does while a peer reads nothing, until the next Narrow or Widen. What the kernel would
// take by itself depends on buffers that are its own business.
func (d *Detached) Narrow(room int) {
	d.descriptor.WriteWith(func(fd int, p []byte) (int, error) {
		if room == 0 {
			return 0, syscall.EAGAIN
		}
		n, err := syscall.Write(fd, p[:min(room, len(p))])
		room -= max(0, n)
		return n, err
	})
}

// Widen leaves it to the kernel again how much it takes.
func (d *Detached) Widen() { d.descriptor.WriteWith(syscall.Write) }

// HasUnread reports whether something waits to be read: in the kernel, or in TLS.
func (d *Detached) HasUnread() bool { return d.hasUnread() }
