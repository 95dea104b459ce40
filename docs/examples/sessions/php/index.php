<?php
// Sessions in the store of the pool: a login that one worker takes is known to
// all of them, through reloads and kills. php.ini says where; here is nothing
// that plain PHP would not have.
session_start();
header("Content-Type: text/plain; charset=utf-8");

switch ($_SERVER["REQUEST_METHOD"] . " " . parse_url($_SERVER["REQUEST_URI"], PHP_URL_PATH)) {
	case "POST /login":
		session_regenerate_id(true); // a login has an id of its own, never one that came along
		$_SESSION = ["name" => $_POST["name"] ?? "somebody", "by" => getmypid()];
		echo "welcome, {$_SESSION["name"]}\n";
		break;
	case "POST /logout":
		session_destroy();
		echo "goodbye\n";
		break;
	case "GET /":
		echo "pid ", getmypid(), isset($_SESSION["name"])
			? ": hello, {$_SESSION["name"]}; pid {$_SESSION["by"]} took your login\n"
			: ": who are you?\n";
		break;
	default:
		http_response_code(404);
}
