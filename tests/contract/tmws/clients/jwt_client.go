// The Go client with JWT: login and refresh exactly 200, create exactly 201, expires_in an integer, the id a string.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
}

func main() {
	base, username, password := os.Args[1], os.Args[2], os.Args[3]
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{Proxy: nil}}

	ask := func(path string, body any, bearer string, want int, into any) {
		text, _ := json.Marshal(body)
		request, _ := http.NewRequest("POST", base+path, bytes.NewReader(text))
		request.Header.Set("Content-Type", "application/json")
		if bearer != "" {
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		reply, err := client.Do(request)
		if err != nil {
			fail("%s: %v", path, err)
		}
		defer reply.Body.Close()
		if reply.StatusCode != want {
			fail("%s: status %d instead of %d", path, reply.StatusCode, want)
		}
		if err := json.NewDecoder(reply.Body).Decode(into); err != nil {
			fail("%s: %v", path, err)
		}
	}

	var first, second tokens
	ask("/api/v1/auth/login", map[string]string{"username": username, "password": password}, "", 200, &first)
	ask("/api/v1/auth/refresh", map[string]string{"refresh_token": first.RefreshToken}, "", 200, &second)
	if second.ExpiresIn <= 300 || second.RefreshToken == first.RefreshToken {
		fail("tokens: %+v", second)
	}
	var made struct {
		Task struct {
			ID    string `json:"id"`
			Title string `json:"title"`
		} `json:"task"`
	}
	task := map[string]string{"title": "Go", "description": "d", "priority": "low"}
	ask("/api/v1/tasks", task, second.AccessToken, 201, &made)
	if made.Task.ID == "" || made.Task.Title != "Go" {
		fail("task: %+v", made)
	}
	var refused struct {
		Error string `json:"error"`
	}
	ask("/api/v1/auth/login", map[string]string{"username": "nobody-go", "password": "x"}, "", 401, &refused)
	if refused.Error == "" {
		fail("an error without a text")
	}
	fmt.Println("all well")
}

func fail(text string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "FAILED: "+text+"\n", arguments...)
	os.Exit(1)
}
