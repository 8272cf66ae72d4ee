// SPDX-License-Identifier: Apache-2.0

// A Go web application, unchanged: net/http handlers behind net/http/cgi.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"runtime"
)

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A Go application</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<nav><a href="/">mod_wasm</a><span>A Go application</span></nav>
<main>
<h1>A Go application</h1>
<p>net/http handlers behind net/http/cgi, {{.Version}} for {{.System}}.</p>
<form method="post" action="/go/">
<label>Name <input name="name" value="{{.Name}}"></label><button>Greet</button>
</form>
{{if .Name}}<p id="greeting">Hello, {{.Name}}!</p>{{end}}
<ul>
<li><a href="/go/json?city=Oslo&amp;city=Lima">/go/json</a>: the request as JSON</li>
<li><a href="/go/teapot">/go/teapot</a>: a status of one's own</li>
</ul>
<h2>Headers</h2>
<table><tr><th>Header</th><th>Value</th></tr>
{{range $name, $values := .Header}}{{range $values}}<tr><td>{{$name}}</td><td>{{.}}</td></tr>
{{end}}{{end}}</table>
</main>
</body>
</html>
`))

func main() {
	mux := http.NewServeMux()

	mux.HandleFunc("/go/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		err := page.Execute(w, map[string]any{
			"Version": runtime.Version(),
			"System":  runtime.GOOS + "/" + runtime.GOARCH,
			"Name":    r.FormValue("name"),
			"Header":  r.Header,
		})
		if err != nil {
			log.Print(err)
		}
	})

	mux.HandleFunc("/go/json", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		http.SetCookie(w, &http.Cookie{Name: "first", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "second", Value: "2"})
		json.NewEncoder(w).Encode(map[string]any{
			"method": r.Method,
			"path":   r.URL.Path,
			"query":  r.URL.Query(),
			"agent":  r.UserAgent(),
			"length": len(body),
			"sha256": fmt.Sprintf("%x", sha256.Sum256(body)),
		})
	})

	mux.HandleFunc("/go/teapot", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "I am a teapot, written in Go.", http.StatusTeapot)
	})

	if err := cgi.Serve(mux); err != nil {
		log.Fatal(err)
	}
}
