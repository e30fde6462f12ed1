package service

// A Finding is something about a service that its owner should know.
type Finding struct {
	Severity string // "high", "medium", "low" or "info"
	Code     string // stable, in kebab case: "no-authentication"
	Text     string
	Remedy   string
}

// Findings are those of a service seen at a port, the worst first.
func Findings(protocol string, port uint16, s Service) []Finding {
	return nil
}
