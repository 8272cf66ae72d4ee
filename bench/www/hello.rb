puts "Content-Type: text/plain\n\nHello from Ruby"
