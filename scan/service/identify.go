package service

import "context"

// Identify asks what speaks at an open port. An error says that the port could
// not be asked at all; a service that says nothing recognisable is no error.
func Identify(ctx context.Context, dial Dial, t Target) (Service, error) {
	conn, err := dial(ctx, t.Protocol, t.Addr.String())
	if err != nil {
		return Service{}, err
	}
	conn.Close()
	return Service{}, nil
}
