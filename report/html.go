package report

import (
	_ "embed"
	"html/template"
	"io"
	"sync"

	"github.com/netglance/netglance/correlate"
)

//go:embed html.tmpl
var htmlText string

// page is parsed when it is first asked for.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"clean": Clean, "message": Message, "port": portName, "owner": owner, "from": reachableFrom, "subject": subject,
	}).Parse(htmlText))
})

// htmlReport writes one page that needs nothing else: no script, no font, no
// picture. The template escapes what the host put in.
func htmlReport(w io.Writer, f Firewall) error {
	return page().Execute(w, struct {
		Title  string
		Header string
		Act    []correlate.Finding
		Pass   []correlate.Finding
		Ports  []correlate.Exposure
		Gaps   []gapJSON
	}{Clean(f.Host.Name), f.Host.header(), f.counting(), f.passing(), worstFirst(f.Ports), newDocument(f.Host).Gaps})
}

// passing are the findings that were let pass.
func (f Firewall) passing() (out []correlate.Finding) {
	for _, x := range f.Judgement.Findings {
		if x.SuppressedBy != nil {
			out = append(out, x)
		}
	}
	return out
}
