//go:build !linux

package platform

import (
	"errors"
	"fmt"
	"net/netip"
)

// A Twin is a throwaway network namespace. Only Linux has them.
type Twin struct{}

var errNoTwin = fmt.Errorf("network namespaces are Linux's: %w", errors.ErrUnsupported)

// NewTwin fails: only Linux has network namespaces.
func NewTwin() (*Twin, error) { return nil, errNoTwin }

// AgainAsNamespaceRoot fails: only Linux has user namespaces.
func AgainAsNamespaceRoot() (int, error) { return 0, errNoTwin }

// What follows is never reached: there is no Twin.

func (t *Twin) Close()                                        {}
func (t *Twin) Do(func() error) error                         { return errNoTwin }
func (t *Twin) Path() string                                  { return "" }
func (t *Twin) Run(string, string, ...string) (string, error) { return "", errNoTwin }
func (t *Twin) WriteSetting(string, string) error             { return errNoTwin }
func (t *Twin) ReadFile(string) ([]byte, error)               { return nil, errNoTwin }
func (t *Twin) ReplaceTable(int, int, []byte, []byte) error   { return errNoTwin }
func (t *Twin) CloseSockets()                                 {}
func (t *Twin) Cramped() bool                                 { return false }
func (t *Twin) OpenLink(string, int, uint16) (int, error)     { return 0, errNoTwin }
func (t *Twin) WriteFrame(int, []byte) error                  { return errNoTwin }
func (t *Twin) ReadFrame(int, []byte) (int, error)            { return 0, errNoTwin }
func (t *Twin) Pin() (func(), error)                          { return nil, errNoTwin }
func (t *Twin) Settle() error                                 { return errNoTwin }
func (t *Twin) ForgetFlows() error                            { return errNoTwin }
func (t *Twin) Receive(func(int, []byte)) error               { return errNoTwin }
func (t *Twin) Join(int, netip.Addr) error                    { return errNoTwin }
func (t *Twin) Transact(int, [][]byte) ([]error, error)       { return nil, errNoTwin }
func (t *Twin) Request(int, []byte) ([]byte, error)           { return nil, errNoTwin }
func (t *Twin) Follow(int, int) (int, error)                  { return 0, errNoTwin }
func (t *Twin) Heard(int, func([]byte)) error                 { return errNoTwin }
func (t *Twin) Listen(uint8, netip.AddrPort, netip.AddrPort, string, int, uint32, uint32) (int, error) {
	return 0, errNoTwin
}
