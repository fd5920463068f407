//go:build !linux

package tickstorm

func (o *SocketOptions) set(uintptr) error { return &OptionError{"SocketOptions", ErrUnsupported} }
