package service

// Common are the n ports that are most likely to be in use, the likeliest first.
func Common(protocol string, n int) []uint16 {
	list := []uint16{80, 22, 443, 53, 25, 3306, 8080, 5432, 6379, 21, 445, 139, 3389, 111, 143, 110, 993, 995, 587, 465}
	if protocol == "udp" {
		list = []uint16{53, 123, 161, 137, 67, 5353, 1900, 500, 69, 514}
	}
	return list[:min(n, len(list))]
}
